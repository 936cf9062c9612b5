"""How much each stationary tile of a kernel sweeps, and which tiles are shared out among several program instances.

A tile that sweeps much more than others may end long after them: the rows and the columns of a global token, or all
rows where there are few of them, as in decoding. The choice takes no clock: the same call is always split alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..passes.count import bounds_by_steps, tile_count
from ..passes.program import Kernel, Order, Program, Tile
from .launch import Role

ALL = 1 << 30
"""More tiles than there are."""

LEAST = 4
"""Tiles of the swept side that a share has at least: what is shorter costs more to join than it saves."""

MOST_SHARES = 64

LATE = 16
"""A tile that starts last may take this part of the time of all."""


@dataclass(frozen=True, slots=True)
class Split:
    """The stationary tiles ``lo <= tile < hi`` of every class, or those of ``lo <= tile`` and those of ``tile < hi``
    where ``lo > hi``, have what they sweep shared out among ``shares`` instances."""

    lo: int = 0
    hi: int = 0
    shares: int = 1

    def tiles(self, count: int) -> int:
        """How many of ``count`` tiles these are."""
        hi = min(self.hi, count)
        return max(count - self.lo, 0) + hi if self.lo > self.hi else max(hi - self.lo, 0)


WHOLE = Split()
"""Nothing is shared out."""


def kernel_of(program: Program, role: Role, index: int) -> tuple[Kernel, int]:
    """A kernel, and the ranks of its stationary tiles."""
    if role == "backward_key":
        kernel = program.backward[index]
        return kernel, program.keys_held(kernel)
    kernel = program.forward[index]
    return kernel, program.queries_held(kernel)


def swept_tiles(
    program: Program, role: Role, index: int, n: int, nk: int, queries: tuple[int, int] = (0, ALL)
) -> NDArray[np.int64]:
    """[stationary tiles of class 0]: the tiles that kernel ``index`` of a role visits for each, of one head; diagonals
    and narrow tiles are as many as cost as much. Class 0 is longest. ``n`` queries, or tokens, and ``nk`` keys; of the
    query tokens only the half-open range ``queries`` has rows, as far as they are swept."""
    kernel, held = kernel_of(program, role, index)
    keys_stand = role == "backward_key"
    still, length = ("J", nk) if keys_stand else ("I", n)
    whole = Tile(program.tile.query, held) if keys_stand else Tile(held, program.tile.key)
    total = np.zeros(tile_count(kernel.order, 0, length, held), dtype=np.int64)
    for sweep in kernel.sweeps:
        term, tile = program.terms[sweep.term], program.tile_of(sweep)
        if keys_stand:
            begin, end = window(term.query, tile.query, max(0, queries[1] - queries[0]), queries[0], n)
            others = tile_count(term.query, -term.shift % term.query.classes, n, tile.query)
        else:
            begin, others = 0, tile_count(term.key, term.shift % term.key.classes, nk, tile.key)
            end = others
        for span in sweep.ranges:
            cost = tile.diagonal if span.diagonal else tile.price / whole.price
            # The integers of kernels, which are refused a length for which these are too short.
            for _, (low, high) in bounds_by_steps(span, len(total), 0, others, n, still, nk, np.int32):
                if not span.diagonal:
                    low, high = np.maximum(low, begin), np.minimum(high, end)
                swept = np.maximum(high - low, 0)
                total += (swept if cost == 1 else np.ceil(swept * cost).astype(np.int64)).sum(axis=0)
    return total


def window(order: Order, held: int, rows: int, offset: int, n: int) -> tuple[int, int]:
    """The query tiles, of ``held`` ranks, that have a row in q in some class, as a half-open range."""
    begin, end = order.whole(order.classes - 1, min(offset, n)), order.ranks(0, min(offset + rows, n))
    return begin // held, -(-end // held)


def split(work: NDArray[np.int64], first: int, instances: int, together: int, processors: int) -> Split:
    """``work``: what the stationary tiles from ``first`` on sweep. Each is computed by ``instances`` program instances
    (blocks of a tile, classes, sequences, heads) on a device of so many ``processors``, of which ``together`` start
    before any of the next tile of another head does.

    A tile may take its fair part of the work of the heads that start together: a longer one of the last of these would
    end after everything else. What starts late in a head may take even less of it, which is not looked at."""
    if not len(work):
        return WHOLE
    total = float(work.sum()) / processors
    fair = max(total * together, total * instances / LATE, LEAST)
    shares = min(MOST_SHARES, int(work.max() // fair))
    if shares < 2:
        return WHOLE
    lo, hi = _heavy(work >= 2 * fair, int(work.argmax()))
    return Split(0, ALL, shares) if lo == hi else Split(first + lo, first + hi, shares)


def _heavy(heavy: NDArray[np.bool_], at: int) -> tuple[int, int]:
    """The heavy tiles around ``at``, as a half-open range; where it comes to one end it goes on at the other, and then
    begins after where it ends. Of all tiles both are the same."""
    count = len(heavy)
    light = np.flatnonzero(~heavy)
    if not len(light):
        return 0, 0
    lo, hi = int(light[light < at].max(initial=-1)) + 1, int(light[light > at].min(initial=count))
    if hi == count and heavy[0] and lo > 0:
        hi = int(light[0])
    elif lo == 0 and heavy[-1] and hi < count:
        lo = int(light[-1]) + 1
    return lo, hi
