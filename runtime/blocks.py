"""A term at one length, as a few batches of equally shaped dense blocks: what the compose engine runs.

Three shapes suffice. A *triangle* is the whole term when its mask is ``b <= a - s``. A *band* is a run of query tiles
whose key ranges have one width and advance evenly. A *stack* cuts a growing range into groups of tiles: the keys that
all of a group sees in full are one unmasked block, what is left on either side is a band over the groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..compiler.affine import staircase
from ..compiler.count import bounds, tile_count
from ..compiler.integer import variables
from ..compiler.program import Program, Sweep, Term
from .masks import Mask, Tiles, masked

MOST_BANDS = 48
"""A term that falls into more runs of tiles than this is stacked."""

FEWEST_STACKS, MOST_TILES_PER_STACK = 16, 32
"""Few groups waste less at the edge of a growing range; the second bounds the mask of that edge."""

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
    reach = _reach(program, term, sweep, group, n)
    runs = list(_runs(reach.lo, reach.hi))
    if len(runs) <= MOST_BANDS:
        for first, count in runs:
            yield from _band(term, group, n, reach, first, count)
    else:
        yield from _stack(term, group, n, reach)


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
        ends = [total]
        for changes, beyond in ((new_width, first), (new_advance, first + 1)):
            at = int(np.searchsorted(changes, beyond, side="right"))
            ends.extend(changes[at : at + 1].tolist())
        stop = min(ends)
        if hi[first] > lo[first]:
            yield first, stop - first
        first = stop


def _band(term: Term, group: _Group, n: int, reach: _Reach, first: int, count: int) -> Iterator[Block]:
    """Tiles first..first+count-1, whose key ranges have one width; a ragged last tile is a block of its own."""
    size, last = reach.size, first + count - 1
    short = min(size, group.rows - last * size)
    runs: list[Tiles] = []
    if short < size:
        lo, hi = int(reach.lo[last]), int(reach.hi[last])
        runs.append(Tiles(last * size, short, 0, lo, hi - lo, 0, 1))
        count -= 1
    if count:
        lo, hi = int(reach.lo[first]), int(reach.hi[first])
        advance = int(reach.lo[first + 1]) - lo if count > 1 else 0
        runs.append(Tiles(first * size, size, size, lo, hi - lo, advance, count))
    for tiles in runs:
        for run, mask in masked(term.keep, tiles, {"c": group.first, "n": n}):
            yield group.block(run, mask)


def _stack(term: Term, group: _Group, n: int, reach: _Reach) -> Iterator[Block]:
    per = min(-(-len(reach.lo) // FEWEST_STACKS), MOST_TILES_PER_STACK)
    starts = np.arange(0, len(reach.lo), per)
    size = reach.size * per
    lo, hi = np.minimum.reduceat(reach.lo, starts), np.maximum.reduceat(reach.hi, starts)
    # Keys that every tile of the group sees in full.
    full_lo, full_hi = np.maximum.reduceat(reach.full_lo, starts), np.minimum.reduceat(reach.full_hi, starts)
    empty = full_hi <= full_lo
    full_lo, full_hi = np.where(empty, lo, full_lo), np.where(empty, lo, full_hi)
    for first, count in _runs(full_lo, full_hi, growing=True):
        yield from _full(group, size, int(full_lo[first]), full_hi[first : first + count], first)
    for edge_lo, edge_hi in ((lo, full_lo), (full_hi, hi)):
        edge = _Reach(size, edge_lo, edge_hi, edge_lo, edge_lo)
        for first, count in _runs(edge_lo, edge_hi):
            yield from _band(term, group, n, edge, first, count)


def _full(group: _Group, size: int, lo: int, hi: Ranks, first: int) -> Iterator[Block]:
    """Unmasked blocks of evenly growing width over the groups from ``first``; a ragged last group stands alone."""
    count, last = len(hi), first + len(hi) - 1
    short = min(size, group.rows - last * size)
    if short < size:
        yield group.block(Tiles(last * size, short, 0, lo, int(hi[-1]) - lo, 0, 1))
        count -= 1
    if count:
        growth = int(hi[1] - hi[0]) if count > 1 else 0
        tiles = Tiles(first * size, size, size, lo, int(hi[0]) - lo, 0, count)
        yield group.block(tiles, growth=growth)
