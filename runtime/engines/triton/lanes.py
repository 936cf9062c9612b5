"""Which query heads a program instance serves, by which lane of its block, and where it leaves what it found.

A *bundle* is one query head, or (PACK > 1) all those of a key head: lane l of a block is then rank ``l // PACK`` of
head ``l % PACK`` of the group, so that few rows of many heads fill one block and their keys are read once. PACK is a
power of two, at least the group, and divides the block. A launch with SPLIT shares out what a block sweeps among the
instances along axis 2; each leaves what it found of its share, (out, lse) or gradients, in rows of its own
(``landing``, ``gradient_landing``), and joining.py joins them.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def bundles(heads, group, PACK: tl.constexpr):
    """How many bundles there are."""
    if PACK == 1:
        return heads
    else:
        return heads // group


@triton.jit
def query_head(bundle, group, BLOCK: tl.constexpr, PACK: tl.constexpr):
    """The query head of a bundle, one per lane where they are packed."""
    if PACK == 1:
        return bundle
    else:
        # The lanes past the group have no row; they stand at the last head, so that no address is outside.
        return bundle * group + tl.minimum(tl.arange(0, BLOCK) % PACK, group - 1)


@triton.jit
def key_head(bundle, group, PACK: tl.constexpr):
    """The key head that a bundle reads."""
    if PACK == 1:
        return bundle // group
    else:
        return bundle


@triton.jit
def query_lanes(block, begin, end, group, BLOCK: tl.constexpr, PACK: tl.constexpr):
    """(rank, whether it has a row) of each lane."""
    lane = tl.arange(0, BLOCK)
    if PACK == 1:
        a = block * BLOCK + lane
        return a, (a >= begin) & (a < end)
    else:
        a = block * (BLOCK // PACK) + lane // PACK
        return a, (a >= begin) & (a < end) & (lane % PACK < group)


@triton.jit
def owned(n, owner_ptr, owner, head):
    """The length, or 0 for a query head that another program owns: it then has no query."""
    if owner_ptr is None:
        return n
    else:
        return tl.where(tl.load(owner_ptr + head) == owner, n, 0)


@triton.jit
def share(lo, hi, SPLIT: tl.constexpr):
    """The blocks of a range that are this instance's."""
    if SPLIT:
        size = tl.maximum(hi - lo, 0)
        at, shares = tl.program_id(2), tl.num_programs(2)
        return lo + size * at // shares, lo + size * (at + 1) // shares
    else:
        return lo, hi


@triton.jit
def landing(out_ptr, lse_ptr, batch, head, rows, heads, Nq, o_b, o_h, BLOCK: tl.constexpr, SPLIT: tl.constexpr):
    """(out, lse, rows in them) of this instance. With SPLIT they are buffers of parts, [instances of axis 1, of axis 2,
    of axis 0, BLOCK]: ``o_h`` is then what one step of the first axis is in out."""
    if SPLIT:
        place = tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)
        bundle = tl.program_id(1).to(tl.int64)
        lse_at = lse_ptr + bundle * (tl.num_programs(2) * tl.num_programs(0) * BLOCK)
        return out_ptr + bundle * o_h, lse_at, place * BLOCK + tl.arange(0, BLOCK)
    else:
        out_at = out_ptr + batch.to(tl.int64) * o_b + head.to(tl.int64) * o_h
        return out_at, lse_ptr + (batch.to(tl.int64) * heads + head) * Nq, rows


@triton.jit
def gradient_landing(
    pointer, batch, head, heads, N, rows, HEAD_DIM: tl.constexpr, BLOCK: tl.constexpr, SPLIT: tl.constexpr
):
    """(a gradient of one head, rows in it) of this instance: of a contiguous [B, heads, N, HEAD_DIM]; with SPLIT of a
    buffer of parts, [instances of axis 1, of axis 2, of axis 0, BLOCK, HEAD_DIM]."""
    if SPLIT:
        place = (tl.program_id(1).to(tl.int64) * tl.num_programs(2) + tl.program_id(2)) * tl.num_programs(0)
        return pointer + (place + tl.program_id(0)) * (BLOCK * HEAD_DIM), tl.arange(0, BLOCK)
    else:
        return pointer + (batch.to(tl.int64) * heads + head) * (N.to(tl.int64) * HEAD_DIM), rows
