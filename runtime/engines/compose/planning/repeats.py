"""Tiles that come again after many: of a grid of 3,600 tokens a plane, in tiles of 64, those after 225.

The pairs of one period are looked at, and what is found there is done again and again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from .....compiler.relations.affine import Box, invariant, restrict
from .....compiler.relations.integer import TRUE, All, Compare, Const, Predicate, Var
from .....compiler.relations.recurring import periods
from .....compiler.relations.sums import in_digits, in_quotients
from ..plan.tiles import Tiles
from .shapes import PERIODS, Group, Reach, bands

FEWEST = 2
"""Periods, of which it is worth while to look at one alone."""

FEW_BANDS = 16
"""A reach of so many is looked at as a whole."""

QUARTERS = 4
"""Near the ends the mask says more: a quarter of a period is left out, or a whole one."""

Stretch: TypeAlias = tuple[int, int]
"""The first tile, and one past the last."""


class Part(NamedTuple):
    """Some tiles of a reach, which come again ``times`` times in all, after ``every`` ranks of queries and of keys."""

    reach: Reach
    every: int = 0
    times: int = 1


def parts(reach: Reach, keep: Predicate, group: Group, box: Box) -> list[Part]:
    """The reach as a whole, or where its tiles come again after more of them than bands look at, one period of it and
    what is at its ends."""
    used = np.flatnonzero(reach.hi > reach.lo)
    if keep == TRUE or len(used) <= FEWEST * max(PERIODS):
        return [Part(reach)]
    if (few := bands(reach, group)) is not None and len(few) <= FEW_BANDS:
        return [Part(reach)]
    beyond, plain = in_digits(All((keep, reach.visited))), in_quotients()
    for every in sorted(_periods(plain(beyond), reach)):
        stretch = _repeated(reach, every // reach.size, group)
        for first, stop in _within(stretch, every // reach.size):
            local = plain(restrict(beyond, {**box, **_box(reach, first, stop)}))
            if invariant(local, every, every):
                return list(_cut(reach, first, stop, every))
    return [Part(reach)]


def again(tiles: Tiles, part: Part) -> Iterator[Tiles]:
    """A run of tiles of one period, for all: in as few runs as there are."""
    if tiles.count > part.times:
        for time in range(part.times):
            yield replace(tiles, row=tiles.row + time * part.every, key=tiles.key + time * part.every)
    else:
        for tile in range(tiles.count):
            one = tiles.part(tile, 1)
            yield replace(one, row_step=part.every, key_step=part.every, count=part.times)


def _periods(beyond: Predicate, reach: Reach) -> Iterator[int]:
    for every in {math.lcm(ranks, reach.size) for ranks in periods(beyond)}:
        if max(PERIODS) < every // reach.size <= len(reach.lo) // FEWEST:
            yield every


def _repeated(reach: Reach, period: int, group: Group) -> Stretch:
    """The longest stretch of whole tiles that reach the same keys as those a period before, moved."""
    used = np.flatnonzero(reach.hi > reach.lo)
    begin, end = int(used[0]), min(int(used[-1]) + 1, group.rows // reach.size)
    if end - begin < FEWEST * period:
        return begin, begin
    moved = period * reach.size
    same = np.ones(end - begin - period, dtype=np.bool_)
    for low, high in ((reach.lo[begin:end], reach.hi[begin:end]), (reach.full_lo[begin:end], reach.full_hi[begin:end])):
        empty = high <= low
        shifted = (low[period:] - low[:-period] == moved) & (high[period:] - high[:-period] == moved)
        same &= np.where(empty[period:] | empty[:-period], empty[period:] & empty[:-period], shifted)
    breaks = np.concatenate([[-1], np.flatnonzero(~same), [len(same)]])
    longest = int(np.argmax(np.diff(breaks)))
    first, stop = int(breaks[longest]) + 1, int(breaks[longest + 1])
    return begin + first, begin + stop + period


def _within(stretch: Stretch, period: int) -> Iterator[Stretch]:
    """The stretch, and shorter ones of several periods."""
    quarter = -(-period // QUARTERS)
    for ends in ((0, 0), (quarter, 0), (0, quarter), (quarter, quarter), (period, 0), (0, period), (period, period)):
        first, stop = stretch[0] + ends[0], stretch[1] - ends[1]
        if stop - first >= FEWEST * period:
            yield first, stop


def _box(reach: Reach, first: int, stop: int) -> Box:
    lo, hi = reach.lo[first:stop], reach.hi[first:stop]
    some = hi > lo
    return {"a": (first * reach.size, stop * reach.size - 1), "b": (int(lo[some].min()), int(hi.max()) - 1)}


def _cut(reach: Reach, first: int, stop: int, every: int) -> Iterator[Part]:
    """What is before and behind the stretch, and its period: of this the first tiles come once more where the stretch
    is no whole number of periods."""
    period = every // reach.size
    times, rest = divmod(stop - first, period)
    pieces = ((0, first, 1), (first, first + rest, times + 1), (first + rest, first + period, times))
    for begin, end, number in (*pieces, (stop, len(reach.lo), 1)):
        part = _only(reach, begin, end)
        if (part.hi > part.lo).any():
            yield Part(part, every, number)


def _only(reach: Reach, begin: int, end: int) -> Reach:
    """These tiles of it alone, as if no other reached a key, nor rows of others that are taken together with them."""
    there = np.arange(end) >= begin
    lo, hi, full_lo, full_hi = (
        np.where(there, each[:end], 0) for each in (reach.lo, reach.hi, reach.full_lo, reach.full_hi)
    )
    rows = Compare(">=", Var("a"), Const(begin * reach.size)), Compare("<", Var("a"), Const(end * reach.size))
    return Reach(reach.size, lo, hi, full_lo, full_hi, All((reach.visited, *rows)))
