"""A term at one length, as a few batches of equally shaped dense blocks: what the compose engine runs.

    block t of a batch:  queries  row + t*row_step .. + rows,   keys  key + t*key_step .. + keys      (ranks)

Three shapes suffice. A *triangle* is the whole term when its mask is ``b <= a - s``. A *band* is a run of query tiles
whose key ranges have one width and advance evenly. A *stack* cuts a growing range into groups of tiles: the keys that
all of a group sees in full are one unmasked block, what is left on either side is a band over the groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.affine import invariant, staircase
from ..compiler.count import bounds, tile_count
from ..compiler.integer import TRUE, evaluate, variables
from ..compiler.program import Program, Sweep, Term

MOST_BANDS = 48
"""A term that falls into more runs of tiles than this is stacked."""

STACKS = 16
"""Groups of query tiles in a stack: more waste less at the edge of a growing range, fewer call less often."""

MOST_MASK_ELEMENTS = 1 << 24
"""Blocks whose masks differ are cut into batches with at most this many mask elements."""

MOST_MASKS = 8
"""A run of tiles whose masks change more often than this keeps one mask per tile."""

Ranks = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """A batch of dense blocks of one term. ``mask`` is bool [tiles or 1, rows, keys]; None means all pairs."""

    classes: tuple[int, int]  # first query class, how many
    key_class: int  # of the first query class; the others follow
    row: int
    rows: int
    row_step: int
    key: int
    keys: int
    key_step: int
    tiles: int
    mask: NDArray[np.bool_] | None = None
    triangle: bool = False  # key k of row r only where k <= r


@dataclass(frozen=True)
class _Group:
    """Classes that have the same shape: ``count`` of them from ``first``, ``rows`` queries and ``keys`` keys each."""

    first: int
    key_first: int
    count: int
    rows: int
    keys: int


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
            run = _Group(run.first, run.key_first, run.count + 1, *shape)
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
        side = min(group.rows - shift, group.keys)
        if side > 0:
            yield Block((group.first, group.count), group.key_first, shift, side, 0, 0, side, 0, 1, triangle=True)
            if group.rows - shift > side:  # later queries see every key of the class
                rest = group.rows - shift - side
                yield Block((group.first, group.count), group.key_first, shift + side, rest, 0, 0, side, 0, 1)
        return
    reach = _reach(program, term, sweep, group, n)
    bands = list(_runs(reach.lo, reach.hi))
    if len(bands) <= MOST_BANDS:
        for first, count in bands:
            yield from _band(term, group, n, reach, first, count)
    else:
        yield from _stack(term, group, n, reach)


@dataclass(frozen=True)
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


def _runs(lo: Ranks, hi: Ranks) -> Iterator[tuple[int, int]]:
    """(first tile, count) of maximal runs with one width and an even advance; tiles without keys are left out."""
    first, total = 0, len(lo)
    while first < total:
        if hi[first] <= lo[first]:
            first += 1
            continue
        stop = first + 1
        while stop < total and hi[stop] - lo[stop] == hi[first] - lo[first]:
            if lo[stop] - lo[stop - 1] != lo[first + 1] - lo[first]:
                break
            stop += 1
        yield first, stop - first
        first = stop


def _band(term: Term, group: _Group, n: int, reach: _Reach, first: int, count: int) -> Iterator[Block]:
    """Tiles first..first+count-1, whose key ranges have one width; a ragged last tile is a block of its own."""
    size, last = reach.size, first + count - 1
    short = min(size, group.rows - last * size)
    if short < size:
        yield from _masked(term, group, n, last * size, short, 0, int(reach.lo[last]), int(reach.hi[last]), 0, 1)
        count -= 1
    if count:
        advance = int(reach.lo[first + 1] - reach.lo[first]) if count > 1 else 0
        lo, hi = int(reach.lo[first]), int(reach.hi[first])
        yield from _masked(term, group, n, first * size, size, size, lo, hi, advance, count)


def _masked(
    term: Term, group: _Group, n: int, row: int, rows: int, row_step: int, lo: int, hi: int, key_step: int, tiles: int
) -> Iterator[Block]:
    """The tiles as batches that share a mask where possible, trimmed to the rows and keys that occur."""
    whole = Block((group.first, group.count), group.key_first, row, rows, row_step, lo, hi - lo, key_step, tiles)
    if term.keep == TRUE:
        yield whole
    elif tiles == 1 or invariant(term.keep, row_step, key_step):
        yield from _trimmed(whole, _masks(term, whole, n, 0, 1))
    else:
        limit = max(1, MOST_MASK_ELEMENTS // (rows * (hi - lo)))
        for start in range(0, tiles, limit):
            batch = _shift(whole, start, min(limit, tiles - start))
            yield from _shared(batch, _masks(term, batch, n, 0, batch.tiles))


def _masks(term: Term, block: Block, n: int, first: int, count: int) -> NDArray[np.bool_]:
    """The masks of tiles first..first+count-1: bool [count, rows, keys]."""
    t = np.arange(first, first + count, dtype=np.int64)[:, None, None]
    a = block.row + t * block.row_step + np.arange(block.rows, dtype=np.int64)[None, :, None]
    b = block.key + t * block.key_step + np.arange(block.keys, dtype=np.int64)[None, None, :]
    keep: Any = evaluate(term.keep, {"a": a, "b": b, "c": block.classes[0], "n": n}, np)
    return np.broadcast_to(np.asarray(keep, dtype=np.bool_), (count, block.rows, block.keys))


def _shift(block: Block, start: int, tiles: int) -> Block:
    """``tiles`` tiles of the batch, from tile ``start``."""
    row, key = block.row + start * block.row_step, block.key + start * block.key_step
    return replace(block, row=row, key=key, tiles=tiles)


def _shared(block: Block, masks: NDArray[np.bool_]) -> Iterator[Block]:
    """Runs of tiles with equal masks as batches of their own, unless that makes many."""
    changes = np.flatnonzero((masks[1:] != masks[:-1]).any(axis=(1, 2))) + 1
    if len(changes) > MOST_MASKS:
        yield from _trimmed(block, masks)
        return
    for start, stop in pairwise((0, *changes.tolist(), block.tiles)):
        yield from _trimmed(_shift(block, start, stop - start), masks[start : start + 1])


def _trimmed(block: Block, masks: NDArray[np.bool_]) -> Iterator[Block]:
    """The batch without rows and keys that no tile uses; nothing when none is used."""
    if not masks.any():
        return
    rows, keys = np.flatnonzero(masks.any(axis=(0, 2))), np.flatnonzero(masks.any(axis=(0, 1)))
    top, left = int(rows[0]), int(keys[0])
    height, width = int(rows[-1]) + 1 - top, int(keys[-1]) + 1 - left
    inner = masks[:, top : top + height, left : left + width]
    yield replace(
        block,
        row=block.row + top,
        rows=height,
        key=block.key + left,
        keys=width,
        mask=None if inner.all() else inner.copy(),
    )


def _stack(term: Term, group: _Group, n: int, reach: _Reach) -> Iterator[Block]:
    per = -(-len(reach.lo) // STACKS)
    starts = np.arange(0, len(reach.lo), per)
    size = reach.size * per
    lo, hi = np.minimum.reduceat(reach.lo, starts), np.maximum.reduceat(reach.hi, starts)
    # Keys that every tile of the group sees in full.
    full_lo, full_hi = np.maximum.reduceat(reach.full_lo, starts), np.minimum.reduceat(reach.full_hi, starts)
    empty = full_hi <= full_lo
    full_lo, full_hi = np.where(empty, lo, full_lo), np.where(empty, lo, full_hi)
    for index in np.flatnonzero(full_hi > full_lo):
        rows = min(size, group.rows - int(index) * size)
        yield Block(
            (group.first, group.count),
            group.key_first,
            int(index) * size,
            rows,
            0,
            int(full_lo[index]),
            int(full_hi[index] - full_lo[index]),
            0,
            1,
        )
    for edge_lo, edge_hi in ((lo, full_lo), (full_hi, hi)):
        edge = _Reach(size, edge_lo, edge_hi, edge_lo, edge_lo)
        for first, count in _runs(edge_lo, edge_hi):
            yield from _band(term, group, n, edge, first, count)
