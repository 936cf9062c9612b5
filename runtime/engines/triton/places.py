"""Where a program instance of a kernel stands: its sequence, its block of queries or of keys.

Names are those of orders.py; ``first`` is the physical row of logical position 0; (begin, end) are the ranks of a class
that have a row in q.

Instances start in the order of axis 0, then of axis 1: of a head the blocks of one class, which read the same, then
those of the next. ``turn`` heads take turns on axis 0, the next ``turn`` follow on axis 1 (compiler/kernels/launch.py).
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from .orders import complete, floormod, ranks, residues, tiled


@triton.jit
def sequence(spans_ptr, heads, Nk, PACKED: tl.constexpr, turn):
    """(batch element, head, physical row of position 0, length n) of this program instance.

    ``spans_ptr``: None; or [start, end) of each batch element; PACKED: where each document begins and, once more, where
    the last one ends, all in batch element 0. No place outside 0..Nk is read, whatever they hold.
    """
    bundle = tl.program_id(1) * turn + tl.program_id(0) % turn
    element, head = bundle // heads, bundle % heads
    batch = element * 0 if PACKED else element
    if spans_ptr is None:
        first = element * 0
        n = first + Nk
    else:
        at = spans_ptr + (element if PACKED else 2 * element)
        first = tl.maximum(tl.load(at), 0)
        n = tl.maximum(tl.minimum(tl.load(at + 1), Nk) - first, 0)
    return batch, head, first, n


@triton.jit
def query_window(c, first, n, query_offset, Nq, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """The ranks [begin, end) of class c whose tokens exist and have a row in q; with digits, and some more."""
    begin = tl.minimum(tl.maximum(query_offset - first, 0), n)
    end = tl.minimum(tl.maximum(query_offset + Nq - first, 0), n)
    if tiled(COUNT):
        return complete(c, begin, PERIOD, COUNT, START), ranks(c, end, PERIOD, COUNT, START)
    else:
        return ranks(c, begin, PERIOD, COUNT, START), ranks(c, end, PERIOD, COUNT, START)


@triton.jit
def instance(turn, CLASSES: tl.constexpr):
    """(class, place in it) along axis 0, which has room for as many blocks of each class. Where several programs share
    a launch, it may have more: then the class is none of these."""
    if CLASSES == 1:
        at = tl.program_id(0) // turn
        return at * 0, at
    else:
        return class_of(turn, CLASSES)


@triton.jit
def class_of(turn, classes):
    at, room = tl.program_id(0) // turn, tl.num_programs(0) // turn // classes
    return at // room, at % room


@triton.jit
def query_block(
    first,
    n,
    query_offset,
    Nq,
    split_lo,
    split_hi,
    PERIOD: tl.constexpr,
    COUNT: tl.constexpr,
    START: tl.constexpr,
    CLASSES: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
    turn,
):
    """(class, block, begin, end) of this program instance; the block is -1 where it has no query.

    The tiles of the split (compiler/kernels/work.py) are those of a launch of their own, which shares out their keys
    (SPLIT), and of no other. The last block comes first: in causal programs it has the most keys, and long work is best
    started early.
    """
    if residues(PERIOD, COUNT, CLASSES):  # of fewer rows than residues each is of another: others have no instance
        some = tl.minimum(Nq, CLASSES)
        c, at = class_of(turn, some)
        c = tl.where(
            c < some, floormod(c + tl.where(some < CLASSES, query_offset - first - START, 0), CLASSES), CLASSES
        )
    else:
        c, at = instance(turn, CLASSES)
    begin, end = query_window(c, first, n, query_offset, Nq, PERIOD, COUNT, START)
    block = tl.cdiv(end, BLOCK) - 1 - at
    if SPLIT:
        size, front, low = shared_blocks(tl.cdiv(end, BLOCK), split_lo, split_hi, TILE // BLOCK)
        at = size - 1 - at
        block = tl.where(at < front, at, low + at - front)
    mine = (c < CLASSES) & (begin < end) & (block >= begin // BLOCK)
    mine = mine & (is_shared(block // (TILE // BLOCK), split_lo, split_hi) == SPLIT)
    return c, tl.where(mine, block, -1), begin, end


@triton.jit
def is_shared(tile, split_lo, split_hi):
    """Whether a tile is one of the split."""
    within = (tile >= split_lo) & (tile < split_hi)
    return within | ((split_lo > split_hi) & ((tile >= split_lo) | (tile < split_hi)))


@triton.jit
def shared_blocks(count, split_lo, split_hi, PER_TILE: tl.constexpr):
    """(how many of ``count`` blocks are in tiles of the split, how many of these come before the tile ``split_hi`` of
    one that goes on at the other end, the first of all others)."""
    tiles = tl.cdiv(count, PER_TILE)  # split_hi may be more than any tile
    low, high = tl.minimum(split_lo, tiles) * PER_TILE, tl.minimum(tl.minimum(split_hi, tiles) * PER_TILE, count)
    front = tl.where(split_lo > split_hi, high, 0)
    end = tl.where(split_lo > split_hi, count, high)
    return front + tl.maximum(end - low, 0), front, low


@triton.jit
def key_block(
    n,
    split_lo,
    split_hi,
    PERIOD: tl.constexpr,
    COUNT: tl.constexpr,
    START: tl.constexpr,
    CLASSES: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
    turn,
):
    """(class, block, ranks of the class) of this program instance; the block is -1 where it has no key, or is in
    another launch (``query_block``)."""
    c, block = instance(turn, CLASSES)
    count = ranks(c, n, PERIOD, COUNT, START)
    if SPLIT:
        _, front, low = shared_blocks(tl.cdiv(count, BLOCK), split_lo, split_hi, TILE // BLOCK)
        block = tl.where(block < front, block, low + block - front)
    mine = (c < CLASSES) & (block * BLOCK < count) & (is_shared(block // (TILE // BLOCK), split_lo, split_hi) == SPLIT)
    return c, tl.where(mine, block, -1), count


@triton.jit
def listed(starts_ptr, row, PARTS: tl.constexpr):
    """The places [lo, hi) of a list, in each of which there are so many parts of a block."""
    return tl.load(starts_ptr + row) * PARTS, tl.load(starts_ptr + row + 1) * PARTS


@triton.jit
def listed_block(blocks_ptr, place, PARTS: tl.constexpr):
    """The part of a listed block that stands at a place."""
    return tl.load(blocks_ptr + place // PARTS) * PARTS + place % PARTS


@triton.jit
def whole_window(begin, end, owner_ptr, BLOCK: tl.constexpr):
    """(low, high): the query blocks of which every rank has a row. Where another program may own a head that is known
    of none, and these are all that there are: they are loaded with masks."""
    if owner_ptr is None:
        return tl.cdiv(begin, BLOCK), end // BLOCK
    else:
        return begin // BLOCK, tl.cdiv(end, BLOCK)


@triton.jit
def whole_blocks(lo, hi, low, high, edges):
    """Of the blocks lo..hi-1 those among low..high-1, and the edges: with 1 if block low-1 is in lo..hi-1, with 2 if
    block high is; where both are the same, with 1."""
    before = (lo < low) & (low <= hi)
    behind = (lo <= high) & (high < hi) & (low <= high)
    return tl.maximum(lo, low), tl.minimum(hi, high), edges | before | tl.where(behind, 2, 0)


@triton.jit
def and_then(walk, lo, hi):
    """A walk over blocks of several ranges, one after the other, and then over lo..hi-1. Of each range it has what is
    added to a place of the walk, and the place behind its last."""
    if len(walk) == 0:
        return ((lo, tl.maximum(hi - lo, 0)),)
    else:
        end = walk[-1][1]
        return walk + ((lo - end, end + tl.maximum(hi - lo, 0)),)  # noqa: RUF005 - Triton has no stars


@triton.jit
def walk_length(walk):
    """How many blocks a walk takes."""
    return walk[-1][1]


@triton.jit
def block_at(walk, at):
    """The block at a place of a walk."""
    block = at + walk[0][0]
    for r in tl.static_range(1, len(walk)):
        block = tl.where(at < walk[r - 1][1], block, at + walk[r][0])
    return block


@triton.jit
def edge_count(edges):
    """How many blocks these edges are."""
    return (edges + 1) // 2


@triton.jit
def edge_block(at, edges, low, high):
    """(edge, block) of one of them."""
    edge = tl.where(edges == 3, at + 1, edges)
    return edge, tl.where(edge == 1, low - 1, high)


@triton.jit
def present(block, count, BLOCK: tl.constexpr):
    """Which ranks of a block exist."""
    return block * BLOCK + tl.arange(0, BLOCK) < count
