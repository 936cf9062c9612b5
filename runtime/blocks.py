"""A term at one length, as a few batches of equally shaped dense blocks: what the compose engine runs.

Three shapes suffice. A *triangle* is the whole term when its mask is ``b <= a - s``. *Bands* are runs of query tiles,
every p-th of them, whose key ranges have one width and advance evenly. A *stack* cuts a growing range into groups of
tiles: the keys that all of a group sees in full are one unmasked block, what is left on either side is a band over
the groups. Of bands and stack the cheaper is taken, by pairs computed and batches launched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..compiler.affine import staircase
from ..compiler.count import bounds, tile_count
from ..compiler.integer import TRUE, Predicate, variables
from ..compiler.program import Program, Sweep, Term
from .masks import Mask, Tiles, masked, runs

MOST_BANDS = 64
"""A term that falls into more runs of tiles than this, for every period, has no bands."""

PERIODS = range(1, 33)
"""Every p-th tile is looked at for these p, the first that works: key ranges of block(100) repeat after 25 tiles."""

FEWEST_STACKS, MOST_TILES_PER_STACK = 16, 32
"""Few groups waste less at the edge of a growing range; the second bounds the mask of that edge."""

MOST_PIECES = 256
"""A shape is given up when it falls into more batches than this, unless it is the only one."""

BATCH_PAIRS = 1 << 15
"""What a batch costs besides its pairs, in pairs."""

Ranks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """A batch of dense blocks of one term, one per class and tile.

    ``mask`` is bool [rows, keys], the same for all; None means all pairs. With ``growth`` g, tile t has g*t more keys.
    """

    first_class: int  # of the queries
    key_class: int  # that belongs to it; the others follow
    classes: int
    tiles: Tiles
    mask: Mask | None = None
    triangle: bool = False  # key k of row r only where k <= r
    growth: int = 0

    def even(self) -> Iterator[Block]:
        """The batch as batches without growth."""
        if not self.growth:
            yield self
            return
        for t in range(self.tiles.count):
            tile = self.tiles.part(t, 1)
            yield replace(self, tiles=replace(tile, keys=tile.keys + t * self.growth), growth=0)


@dataclass(frozen=True, slots=True)
class _Group:
    """Classes that have the same shape: ``count`` of them from ``first``, ``rows`` queries and ``keys`` keys each."""

    first: int
    key_first: int
    count: int
    rows: int
    keys: int

    def block(self, tiles: Tiles, mask: Mask | None = None, *, triangle: bool = False, growth: int = 0) -> Block:
        return Block(self.first, self.key_first, self.count, tiles, mask, triangle, growth)


def blocks(program: Program, sweep: Sweep, n: int) -> tuple[Block, ...]:
    """The batches that cover one term at length n; together they hold each pair of the term once."""
    term = program.terms[sweep.term]
    return tuple(block for group in _groups(term, sweep, n) for block in _cover(program, term, sweep, group, n))


def _groups(term: Term, sweep: Sweep, n: int) -> Iterator[_Group]:
    """Runs of classes with equally many queries and keys; single classes where the class matters to the term."""
    names = variables(term.keep).union(*(variables(span.lo) | variables(span.hi) for span in sweep.ranges))
    apart = "c" in names
    run: _Group | None = None
    for cls in range(term.query.classes):
        key_class = (cls + term.shift) % term.key.classes
        shape = (term.query.ranks(cls, n), term.key.ranks(key_class, n))
        if run and not apart and shape == (run.rows, run.keys) and key_class == run.key_first + run.count:
            run = replace(run, count=run.count + 1)
            continue
        if run:
            yield run
        run = _Group(cls, key_class, 1, *shape)
    if run:
        yield run


def _cover(program: Program, term: Term, sweep: Sweep, group: _Group, n: int) -> Iterator[Block]:
    if not group.rows or not group.keys:
        return
    shift = staircase(term.keep)
    if shift is not None:
        yield from _triangle(group, shift)
        return
    known = {"c": group.first, "n": n}
    reach = _reach(program, term, sweep, group, n)
    pieces = _cheapest(term.keep, [_bands(reach, group), _stack(reach, group)], known)
    for tiles, keep, growth in pieces:
        block = masked(tiles, keep, known)
        if block is not None:
            yield group.block(*block, growth=growth)


_Piece: TypeAlias = tuple[Tiles, Predicate, int]
"""A run of tiles, what is left of the mask on it, and how many keys each tile has more than the one before."""


def _cheapest(keep: Predicate, shapes: list[list[_Shape] | None], known: dict[str, int]) -> list[_Piece]:
    """The pieces of the cheapest shape; where each falls into many, those of the first there is."""
    found = [shape for shape in shapes if shape is not None]
    cut = [list(islice(_pieces(keep, shape, known), MOST_PIECES + 1)) for shape in found]
    few = [pieces for pieces in cut if len(pieces) <= MOST_PIECES]
    return min(few, key=_cost) if few else list(_pieces(keep, found[0], known))


def _pieces(keep: Predicate, shape: list[_Shape], known: dict[str, int]) -> Iterator[_Piece]:
    for tiles, full, growth in shape:
        if full:
            yield tiles, TRUE, growth
        else:
            yield from ((run, local, 0) for run, local in runs(keep, tiles, known))


def _cost(pieces: list[_Piece]) -> int:
    """Pairs computed, and what their batches cost; tiles that grow run one by one."""
    total = 0
    for tiles, _, growth in pieces:
        more = growth * tiles.rows * tiles.count * (tiles.count - 1) // 2
        total += tiles.pairs + more + BATCH_PAIRS * (tiles.count if growth else 1)
    return total


def _triangle(group: _Group, shift: int) -> Iterator[Block]:
    side = min(group.rows - shift, group.keys)
    below = group.rows - shift - side
    if side > 0:
        yield group.block(Tiles(shift, side, 0, 0, side, 0, 1), triangle=True)
    if below > 0:  # later queries see every key of the class
        yield group.block(Tiles(shift + side, below, 0, 0, side, 0, 1))


@dataclass(frozen=True, slots=True)
class _Reach:
    """Key ranks that each query tile (or group of tiles) touches, [lo, hi), and sees in full, [full_lo, full_hi)."""

    size: int  # query ranks per tile
    lo: Ranks
    hi: Ranks
    full_lo: Ranks
    full_hi: Ranks


def _reach(program: Program, term: Term, sweep: Sweep, group: _Group, n: int) -> _Reach:
    tiles = tile_count(term.query, group.first, n, program.tile.query)
    key_tiles = tile_count(term.key, group.key_first, n, program.tile.key)
    lo = np.full(tiles, key_tiles, dtype=np.int64)
    hi, full_lo, full_hi = (np.zeros(tiles, dtype=np.int64) for _ in range(3))
    for span in sweep.ranges:
        start, stop = bounds(span, tiles, group.first, key_tiles, n, "I")
        touched = stop > start
        lo, hi = np.where(touched, np.minimum(lo, start), lo), np.where(touched, np.maximum(hi, stop), hi)
        if not span.masked:
            full_lo, full_hi = np.where(touched, start, full_lo), np.where(touched, stop, full_hi)
    lo = np.where(hi > 0, lo, 0)
    scaled = (np.minimum(edge * program.tile.key, group.keys) for edge in (lo, hi, full_lo, full_hi))
    return _Reach(program.tile.query, *scaled)


_Shape: TypeAlias = tuple[Tiles, bool, int]
"""A run of tiles, whether every pair of it is kept, and its growth."""


def _bands(reach: _Reach, group: _Group) -> list[_Shape] | None:
    """Runs among every p-th tile, for the smallest p that needs few."""
    for period in PERIODS:
        found = [
            (start + period * first, count)
            for start in range(min(period, len(reach.lo)))
            for first, count in islice(_runs(reach.lo[start::period], reach.hi[start::period]), MOST_BANDS + 1)
        ]
        if len(found) <= MOST_BANDS:
            return [(tiles, False, 0) for at, count in found for tiles in _band(reach, group, at, count, period)]
    return None


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


def _band(reach: _Reach, group: _Group, first: int, count: int, period: int) -> Iterator[Tiles]:
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


def _stack(reach: _Reach, group: _Group) -> list[_Shape] | None:
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
    shape: list[_Shape] = []
    for first, count in _runs(full_lo, full_hi, growing=True):
        shape += _full(group, size, int(full_lo[first]), full_hi[first : first + count], first)
    for edge_lo, edge_hi in ((lo, full_lo), (full_hi, hi)):
        edge = _Reach(size, edge_lo, edge_hi, edge_lo, edge_lo)
        for first, count in _runs(edge_lo, edge_hi):
            shape += [(tiles, False, 0) for tiles in _band(edge, group, first, count, 1)]
    return shape


def _full(group: _Group, size: int, lo: int, hi: Ranks, first: int) -> Iterator[_Shape]:
    """Unmasked blocks of evenly growing width over the groups from ``first``; a ragged last group stands alone."""
    count, last = len(hi), first + len(hi) - 1
    short = min(size, group.rows - last * size)
    if short < size:
        yield Tiles(last * size, short, 0, lo, int(hi[-1]) - lo, 0, 1), True, 0
        count -= 1
    if count:
        growth = int(hi[1] - hi[0]) if count > 1 else 0
        yield Tiles(first * size, size, size, lo, int(hi[0]) - lo, 0, count), True, growth
