"""The tiles of a term in few, evenly spaced runs: bands of every p-th tile, or a stack of groups of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...compiler.passes.count import bounds, tile_count
from ...compiler.passes.program import Program, Sweep, Term, Tile
from .masks import Tiles

MOST_BANDS = 64
"""A term that falls into more runs of tiles than this, for every period, has no bands."""

PERIODS = range(1, 33)
"""Every p-th tile is looked at for these p, the first that works: key ranges of block(100) repeat after 25 tiles."""

FEWEST_STACKS, MOST_TILES_PER_STACK = 16, 32
"""Few groups waste less at the edge of a growing range; the second bounds the mask of that edge."""

Ranks = NDArray[np.int64]

Shape: TypeAlias = tuple[Tiles, bool, int]
"""A run of tiles, whether every pair of it is kept, and its growth."""


@dataclass(frozen=True, slots=True)
class Group:
    """Classes that have the same shape: ``count`` of them from ``first``, ``rows`` queries and ``keys`` keys each."""

    first: int
    key_first: int
    count: int
    rows: int
    keys: int


@dataclass(frozen=True, slots=True)
class Reach:
    """Key ranks that each query tile (or group of tiles) touches, [lo, hi), and sees in full, [full_lo, full_hi)."""

    size: int  # query ranks per tile
    lo: Ranks
    hi: Ranks
    full_lo: Ranks
    full_hi: Ranks


def reaches(program: Program, term: Term, sweep: Sweep, group: Group, n: int, nk: int) -> Iterator[Reach]:
    """What the tiles reach: in the ranges without a fan together, and in every step of each fan."""
    tiles = tile_count(term.query, group.first, n, program.tile.query)
    key_tiles = tile_count(term.key, group.key_first, nk, program.tile.key)
    plain: list[tuple[Ranks, Ranks, bool]] = []
    for span in sweep.ranges:
        for start, stop in bounds(span, tiles, group.first, key_tiles, n, "I", nk).values():
            if span.fan is None:
                plain.append((start, stop, span.masked))
            elif (stop > start).any():
                yield _reach(program.tile, [(start, stop, span.masked)], group, term.key.whole(group.key_first, nk))
    if plain:
        yield _reach(program.tile, plain, group, term.key.whole(group.key_first, nk))


def _reach(tile: Tile, ranges: list[tuple[Ranks, Ranks, bool]], group: Group, whole: int) -> Reach:
    """Of what ranges give. Only the keys below ``whole`` are all there, so that only they are seen in full."""
    lo = np.full(len(ranges[0][0]), -(-group.keys // tile.key), dtype=np.int64)
    hi, full_lo, full_hi = (np.zeros(len(lo), dtype=np.int64) for _ in range(3))
    for start, stop, masked in ranges:
        touched = stop > start
        lo, hi = np.where(touched, np.minimum(lo, start), lo), np.where(touched, np.maximum(hi, stop), hi)
        if not masked:
            full_lo, full_hi = np.where(touched, start, full_lo), np.where(touched, stop, full_hi)
    lo = np.where(hi > 0, lo, 0)
    ends = ((lo, group.keys), (hi, group.keys), (full_lo, whole), (full_hi, whole))
    return Reach(tile.query, *(np.minimum(edge * tile.key, end) for edge, end in ends))


def bands(reach: Reach, group: Group) -> list[Shape] | None:
    """Runs among every p-th tile, for the smallest p that needs few."""
    for period in PERIODS:
        if _breaks(reach, period) > MOST_BANDS:
            continue
        found = [
            (start + period * first, count)
            for start in range(min(period, len(reach.lo)))
            for first, count in _runs(reach.lo[start::period], reach.hi[start::period])
        ]
        if len(found) <= MOST_BANDS:
            return [(tiles, False, 0) for at, count in found for tiles in _band(reach, group, at, count, period)]
    return None


def _breaks(reach: Reach, period: int) -> int:
    """At how many tiles, at least, a run of every p-th tile ends."""
    width = reach.hi - reach.lo
    advance = reach.lo[period:] - reach.lo[:-period]
    changes = width[period:] != width[:-period]
    uneven = advance[period:] != advance[:-period]
    return int(max(np.count_nonzero(changes), np.count_nonzero(uneven) // 2))


def _runs(lo: Ranks, hi: Ranks, *, growing: bool = False) -> Iterator[tuple[int, int]]:
    """(first tile, count) of maximal runs with one width and an even advance; tiles without keys are left out.

    With ``growing`` the start stands still and the width grows evenly instead.
    """
    advance, width = np.diff(lo), np.diff(hi - lo)
    if growing:
        advance, width = np.diff(hi), advance
    # Where a run must end: the width (when growing: the start) changes after tile t; or the advance is not as before.
    new_width = np.flatnonzero(width != 0) + 1
    new_advance = np.flatnonzero(np.diff(advance) != 0) + 2
    used = np.flatnonzero(hi > lo)
    first, total = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    while first < total:
        if growing and hi[first] <= lo[first]:  # what grows from nothing starts where there is something
            first += 1
            continue
        ends = [total]
        for changes, beyond in ((new_width, first), (new_advance, first + 1)):
            at = int(np.searchsorted(changes, beyond, side="right"))
            ends.extend(changes[at : at + 1].tolist())
        stop = min(ends)
        if hi[first] > lo[first]:
            yield first, stop - first
        first = stop


def _band(reach: Reach, group: Group, first: int, count: int, period: int) -> Iterator[Tiles]:
    """Tiles first, first + period, ...; a ragged last tile stands alone."""
    size, last = reach.size, first + (count - 1) * period
    short = min(size, group.rows - last * size)
    if short < size:
        lo, hi = int(reach.lo[last]), int(reach.hi[last])
        yield Tiles(last * size, short, 0, lo, hi - lo, 0, 1)
        count -= 1
    if count:
        lo, hi = int(reach.lo[first]), int(reach.hi[first])
        advance = int(reach.lo[first + period]) - lo if count > 1 else 0
        yield Tiles(first * size, size, period * size, lo, hi - lo, advance, count)


def singles(reach: Reach, group: Group) -> list[Shape]:
    """Every tile by itself: what is left where nothing is even."""
    tiles = range(len(reach.lo))
    return [
        (each, False, 0)
        for tile in tiles
        if reach.hi[tile] > reach.lo[tile]
        for each in _band(reach, group, tile, 1, 1)
    ]


def stack(reach: Reach, group: Group) -> list[Shape] | None:
    """Groups of tiles; nothing where no key range has a full part."""
    if not (reach.full_hi > reach.full_lo).any():
        return None
    per = min(-(-len(reach.lo) // FEWEST_STACKS), MOST_TILES_PER_STACK)
    starts = np.arange(0, len(reach.lo), per)
    size = reach.size * per
    lo, hi = np.minimum.reduceat(reach.lo, starts), np.maximum.reduceat(reach.hi, starts)
    # Keys that every tile of the group sees in full.
    full_lo, full_hi = np.maximum.reduceat(reach.full_lo, starts), np.minimum.reduceat(reach.full_hi, starts)
    empty = full_hi <= full_lo
    full_lo, full_hi = np.where(empty, lo, full_lo), np.where(empty, lo, full_hi)
    shape: list[Shape] = []
    for first, count in _runs(full_lo, full_hi, growing=True):
        shape += _full(group, size, int(full_lo[first]), full_hi[first : first + count], first)
    for edge_lo, edge_hi in ((lo, full_lo), (full_hi, hi)):
        edge = Reach(size, edge_lo, edge_hi, edge_lo, edge_lo)
        for first, count in _runs(edge_lo, edge_hi):
            shape += [(tiles, False, 0) for tiles in _band(edge, group, first, count, 1)]
    return shape


def _full(group: Group, size: int, lo: int, hi: Ranks, first: int) -> Iterator[Shape]:
    """Unmasked blocks of evenly growing width over the groups from ``first``; a ragged last group stands alone."""
    count, last = len(hi), first + len(hi) - 1
    short = min(size, group.rows - last * size)
    if short < size:
        if hi[-1] > lo:
            yield Tiles(last * size, short, 0, lo, int(hi[-1]) - lo, 0, 1), True, 0
        count -= 1
    if count:
        growth = int(hi[1] - hi[0]) if count > 1 else 0
        yield Tiles(first * size, size, size, lo, int(hi[0]) - lo, 0, count), True, growth
