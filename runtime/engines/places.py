"""Where a program instance of a kernel stands: its sequence, its block of queries or of keys.

Names are those of orders.py; ``first`` is the physical row of logical position 0; (begin, end) are the ranks of a class
that have a row in q.

Instances start in the order of axis 0, then of axis 1. TURN heads take turns on axis 0, the next TURN follow on axis 1:
the longest blocks of several heads start before the shorter ones of the first, so that no long one is left for the end,
and neighbours, which read much the same, still run at the same time.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from .orders import complete, ranks, tiled


@triton.jit
def sequence(spans_ptr, heads, Nk, PACKED: tl.constexpr, TURN: tl.constexpr):
    """(batch element, head, physical row of position 0, length n) of this program instance.

    ``spans_ptr``: None; or [start, end) of each batch element; PACKED: where each document begins and, once more, where
    the last one ends, all in batch element 0. No place outside 0..Nk is read, whatever they hold.
    """
    bundle = tl.program_id(1) * TURN + tl.program_id(0) % TURN
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
    TURN: tl.constexpr,
):
    """(class, block, begin, end) of this program instance; the block is -1 where it has no query.

    The tiles ``split_lo <= I < split_hi`` are those of a launch of their own, which shares out their keys (SPLIT), and
    of no other. The last block comes first: in causal programs it has the most keys, and long work is best started
    early.
    """
    at = tl.program_id(0) // TURN
    c = at % CLASSES
    begin, end = query_window(c, first, n, query_offset, Nq, PERIOD, COUNT, START)
    top = tl.cdiv(end, BLOCK)
    if SPLIT:
        top = tl.minimum(top, tl.minimum(split_hi, tl.cdiv(end, TILE)) * (TILE // BLOCK))
    block = top - 1 - at // CLASSES
    tile = block // (TILE // BLOCK)
    mine = (begin < end) & (block >= begin // BLOCK) & (((tile >= split_lo) & (tile < split_hi)) == SPLIT)
    return c, tl.where(mine, block, -1), begin, end


@triton.jit
def key_block(
    n,
    PERIOD: tl.constexpr,
    COUNT: tl.constexpr,
    START: tl.constexpr,
    CLASSES: tl.constexpr,
    BLOCK: tl.constexpr,
    TURN: tl.constexpr,
):
    """(class, block, ranks of the class) of this program instance; the block is -1 where it has no key."""
    at = tl.program_id(0) // TURN
    c, block = at % CLASSES, at // CLASSES
    count = ranks(c, n, PERIOD, COUNT, START)
    return c, tl.where(block * BLOCK < count, block, -1), count


@triton.jit
def present(block, count, BLOCK: tl.constexpr):
    """Which ranks of a block exist."""
    return block * BLOCK + tl.arange(0, BLOCK) < count
