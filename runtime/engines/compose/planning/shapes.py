"""The tiles of a term in few, evenly spaced runs: bands of every p-th tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.count import Ends, bounds, tile_count
from .....compiler.passes.program import Program, Sweep, Term, Tile
from .....compiler.relations.integer import TRUE, AnyOf, Predicate
from .....compiler.relations.recurring import periods
from ..plan.combs import even_runs
from ..plan.tiles import Tiles
from .visited import visited

MOST_BANDS = 64
"""A term that falls into more runs of tiles than this, for every period, has no bands."""

PERIODS = range(1, 33)
"""Every p-th tile is looked at for these p, the first that works: key ranges of block(100) repeat after 25 tiles."""

FIRST = 1024
"""So many tiles are looked at before all of them."""

Ranks = NDArray[np.int64]

Shape: TypeAlias = tuple[Tiles, bool]
"""A run of tiles, and whether every pair of it is kept."""


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
    """Key ranks that each query tile (or group of tiles) touches, [lo, hi), and sees in full, [full_lo, full_hi).

    The mask of a term is right in its own tiles alone; ``visited`` holds of the pairs in those of a reach."""

    size: int  # query ranks per tile
    lo: Ranks
    hi: Ranks
    full_lo: Ranks
    full_hi: Ranks
    visited: Predicate = TRUE


def reaches(program: Program, term: Term, sweep: Sweep, group: Group, n: int, nk: int) -> Iterator[list[list[Reach]]]:
    """What the tiles reach, part by part, each in the ways in which it can be said: of the ranges without a fan all
    together, and where there are gaps between them also one by one; then every step of each fan."""
    tile = program.tile_of(sweep)
    tiles = tile_count(term.query, group.first, n, tile.query)
    key_tiles = tile_count(term.key, group.key_first, nk, tile.key)
    plain: list[Reach] = []
    for span in sweep.ranges:
        visits = visited(span, tile, key_tiles)
        for step, ends in bounds(span, tiles, group.first, key_tiles, n, "I", nk).items():
            if (ends[1] > ends[0]).any():
                reach = _reach(tile, ends, span.masked, group, visits(step))
                if span.fan is None:
                    plain.append(reach)
                else:
                    yield [[reach]]
    if plain:
        # A mask that decides in some tile is exact beyond them, but for the tiles of other ranges.
        exact = all(span.fan is None for span in sweep.ranges) and any(span.masked for span in sweep.ranges)
        together = reduce(_together, plain)
        if exact:
            together = replace(together, visited=TRUE)
        yield [[together], plain] if _gaps(plain) else [[together]]


def _reach(tile: Tile, ends: Ends, masked: bool, group: Group, visited: Predicate) -> Reach:
    """Of a range, which sees its keys in full where it is not masked."""
    start, stop = ends
    touched = stop > start
    lo, hi = (np.minimum(np.where(touched, end, 0) * tile.key, group.keys) for end in ends)
    full_lo, full_hi = (np.zeros_like(end) if masked else end for end in (lo, hi))
    return Reach(tile.query, lo, hi, full_lo, full_hi, visited)


def _together(one: Reach, two: Reach) -> Reach:
    """The hull of two ranges, of which at most one has full tiles."""
    mine, theirs = one.hi > one.lo, two.hi > two.lo
    lo = np.where(mine & theirs, np.minimum(one.lo, two.lo), np.where(mine, one.lo, two.lo))
    full = one.full_hi > one.full_lo
    full_lo, full_hi = np.where(full, one.full_lo, two.full_lo), np.where(full, one.full_hi, two.full_hi)
    return Reach(one.size, lo, np.maximum(one.hi, two.hi), full_lo, full_hi, AnyOf((one.visited, two.visited)))


def _gaps(plain: list[Reach]) -> bool:
    """Whether some tile reaches keys that do not adjoin."""
    hull = reduce(_together, plain)
    return bool((hull.hi - hull.lo > sum(reach.hi - reach.lo for reach in plain)).any())


def coarser(reach: Reach, tiles: int) -> Reach:
    """The same by groups of so many tiles."""
    some = reach.hi > reach.lo
    top = int(reach.hi.max(initial=0))
    lo, hi = _of_groups(np.minimum, np.where(some, reach.lo, top), tiles), _of_groups(np.maximum, reach.hi, tiles)
    # Keys that every tile of the group sees in full.
    full_lo = _of_groups(np.maximum, reach.full_lo, tiles)
    full_hi = _of_groups(np.minimum, reach.full_hi, tiles)
    empty = full_hi <= full_lo
    lo = np.where(hi > 0, lo, 0)
    full_lo, full_hi = np.where(empty, lo, full_lo), np.where(empty, lo, full_hi)
    return Reach(reach.size * tiles, lo, hi, full_lo, full_hi, reach.visited)


def _of_groups(how: np.ufunc, values: Ranks, size: int) -> Ranks:
    """The least, or the greatest, of each so many; by halves, since numpy reduces small groups one after the other."""
    while size % 2 == 0:
        last = values[-1:] if len(values) % 2 else values[:0]
        values = np.concatenate([how(values[: len(values) - len(last) : 2], values[1::2]), last])
        size //= 2
    return values if size == 1 else how.reduceat(values, np.arange(0, len(values), size))


def bands(reach: Reach, group: Group) -> list[Shape] | None:
    """Runs among every p-th tile, for the smallest p that needs few."""
    looked_at = sorted({min(FIRST, len(reach.lo)), len(reach.lo)})
    for period in PERIODS:
        # Most periods are given up for the first tiles.
        if any(_breaks(reach.lo[:tiles], reach.hi[:tiles], period) > MOST_BANDS for tiles in looked_at):
            continue
        found = list(_every(reach, period))
        if len(found) <= MOST_BANDS:
            return [(tiles, False) for at, count in found for tiles in band(reach, group, at, count, period)]
    return None


def _every(reach: Reach, period: int) -> Iterator[tuple[int, int]]:
    """(first tile, count) of the even runs among every ``period``-th tile, from each of the first."""
    tiles = len(reach.lo)
    rows = -(-tiles // period) + 1  # the last has no key, so that no run goes on with tiles from another start
    more = rows * period - tiles
    lo, hi = (np.pad(each, (0, more)).reshape(rows, period).T.ravel() for each in (reach.lo, reach.hi))
    for at, count in even_runs(lo, hi):
        start, first = divmod(at, rows)
        yield start + period * first, count


def _breaks(lo: Ranks, hi: Ranks, period: int) -> int:
    """At how many tiles, at least, a run of every p-th tile ends."""
    width = hi - lo
    advance = lo[period:] - lo[:-period]
    changes = width[period:] != width[:-period]
    uneven = advance[period:] != advance[:-period]
    return int(max(np.count_nonzero(changes), np.count_nonzero(uneven) // 2))


def band(reach: Reach, group: Group, first: int, count: int, period: int) -> Iterator[Tiles]:
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


def alike(reach: Reach) -> Reach:
    """The same by groups of tiles that reach the same keys, the largest that all tiles fall into. Of a masked reach the
    mask may tell them apart."""
    changes = np.flatnonzero((np.diff(reach.lo) != 0) | (np.diff(reach.hi) != 0)) + 1
    size = int(np.gcd.reduce(changes)) if len(changes) else len(reach.lo)
    return coarser(reach, size) if size > 1 else reach


def fewest(reach: Reach, group: Group) -> list[Shape]:
    """Runs among every p-th tile, for the p that needs fewest of them: what is left where no period needs few. Tiles of
    a grid come again after a row, a plane, ...: what is divided by in the reach says after how many."""
    steps = {1, *(ranks // reach.size for ranks in periods(reach.visited) if ranks % reach.size == 0)}
    period = min(sorted(step for step in steps if step <= len(reach.lo)), key=lambda step: _starts(reach, step))
    return [(tiles, False) for at, count in _every(reach, period) for tiles in band(reach, group, at, count, period)]


def _starts(reach: Reach, period: int) -> int:
    """About how many runs of every p-th tile begin."""
    used, width = reach.hi > reach.lo, reach.hi - reach.lo
    joined, advance = used[period:] & (width[period:] == width[:-period]), reach.lo[period:] - reach.lo[:-period]
    uneven = joined[period:] & joined[:-period] & (advance[period:] != advance[:-period])
    return int(np.count_nonzero(used) - np.count_nonzero(joined) + np.count_nonzero(uneven) // 2)
