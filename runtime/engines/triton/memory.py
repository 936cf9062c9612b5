"""Rows in memory: addresses, loads and stores of a kernel. Names are those of places.py.

Row offsets are 64 bits wide: at a million tokens a row times its stride passes 2**31.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from .orders import even, exists, tiled, token
from .places import present

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def matrix(pointer, batch, head, stride_b, stride_h):
    """Where the matrix of one (batch element, head) starts, or of one head per lane."""
    return pointer + batch.to(tl.int64) * stride_b + head.to(tl.int64) * stride_h


@triton.jit
def vector(pointer, batch, head, heads, Nq):
    """Where the vector of one (batch element, head) starts in a contiguous [B, heads, Nq] buffer."""
    return pointer + (batch.to(tl.int64) * heads + head) * Nq


@triton.jit
def addresses(base, rows, stride_n, stride_d, BLOCK_D: tl.constexpr):
    if len(base.shape) > 0:  # a base of its own for each row
        base = base[:, None]
    return base + rows.to(tl.int64)[:, None] * stride_n + tl.arange(0, BLOCK_D).to(tl.int64)[None, :] * stride_d


@triton.jit
def inside(live, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Rows that are live, and features that are not padding up to a power of two."""
    if HEAD_DIM == BLOCK_D:
        return live[:, None]
    else:
        return live[:, None] & (tl.arange(0, BLOCK_D) < HEAD_DIM)[None, :]


@triton.jit
def load_rows(base, rows, stride_n, stride_d, live, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Rows of a matrix, zero where not live: what lies there (padding, NaN) is never read."""
    at = addresses(base, rows, stride_n, stride_d, BLOCK_D)
    return tl.load(at, mask=inside(live, HEAD_DIM, BLOCK_D), other=0.0)


@triton.jit
def load_block(
    base,
    block,
    c,
    first,
    live,
    stride_n,
    stride_d,
    PERIOD: tl.constexpr,
    COUNT: tl.constexpr,
    START: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """The rows of one block, zero where not live; WHOLE promises that all are."""
    if even(BLOCK, COUNT):
        # The part in t stays out of the loop.
        base += (first + token(c, block * BLOCK, PERIOD, COUNT, START)).to(tl.int64) * stride_n
        at = addresses(base, token(0, tl.arange(0, BLOCK), PERIOD, COUNT, 0), stride_n, stride_d, BLOCK_D)
    else:
        rows = first + token(c, block * BLOCK + tl.arange(0, BLOCK), PERIOD, COUNT, START)
        at = addresses(base, rows, stride_n, stride_d, BLOCK_D)
    if WHOLE and HEAD_DIM == BLOCK_D:
        return tl.load(at)
    elif WHOLE:
        return tl.load(at, mask=(tl.arange(0, BLOCK_D) < HEAD_DIM)[None, :], other=0.0)
    else:
        return tl.load(at, mask=inside(live, HEAD_DIM, BLOCK_D), other=0.0)


@triton.jit
def load_keys(
    k_at,
    v_at,
    block,
    c,
    first,
    count,
    k_n,
    k_d,
    v_n,
    v_d,
    PERIOD: tl.constexpr,
    COUNT: tl.constexpr,
    START: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """The keys and values of one block; those that do not exist (rank >= count; with digits, token >= count) are
    zero."""
    if tiled(COUNT):
        live = exists(c, block * BLOCK + tl.arange(0, BLOCK), count, PERIOD, COUNT, START)
    else:
        live = present(block, count, BLOCK)
    k = load_block(k_at, block, c, first, live, k_n, k_d, PERIOD, COUNT, START, HEAD_DIM, BLOCK_D, BLOCK, WHOLE)
    v = load_block(v_at, block, c, first, live, v_n, v_d, PERIOD, COUNT, START, HEAD_DIM, BLOCK_D, BLOCK, WHOLE)
    return k, v


@triton.jit
def load_queries(
    q_at,
    do_at,
    lse_at,
    delta_at,
    block,
    c,
    first,
    begin,
    end,
    q_n,
    q_d,
    do_n,
    do_d,
    PERIOD: tl.constexpr,
    COUNT: tl.constexpr,
    START: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """(q, dO, lse, delta) of one block, of the latter two as ``numbers`` takes them; ``first`` is the row in q of
    logical position 0, which may be negative. What exists are the ranks, with digits the rows, in begin..end-1; WHOLE
    promises that all of the block do."""
    t = tl.arange(0, BLOCK)
    rows = first + token(c, block * BLOCK + t, PERIOD, COUNT, START)
    if tiled(COUNT):
        live = (rows >= begin) & (rows < end)
    else:
        # Beside numbers of the block, not of its ranks: those of blocks under way would be kept in registers.
        live = (t >= begin - block * BLOCK) & (t < end - block * BLOCK)
    q = load_block(q_at, block, c, first, live, q_n, q_d, PERIOD, COUNT, START, HEAD_DIM, BLOCK_D, BLOCK, WHOLE)
    do = load_block(do_at, block, c, first, live, do_n, do_d, PERIOD, COUNT, START, HEAD_DIM, BLOCK_D, BLOCK, WHOLE)
    if WHOLE:
        return q, do, lse_at + rows, delta_at + rows  # Triton 3.6 returns no None
    else:
        return q, do, (lse_at + rows, live), (delta_at + rows, live)


@triton.jit
def numbers(place):
    """lse or delta of rows; 0 where there is no row, as ``load_lse`` has it. Read where they are used, since until then
    they would fill registers: 16 each of the 127 that two sums leave over, of 64 queries."""
    if isinstance(place, tl.tensor):
        return tl.load(place)
    else:
        at, live = place
        return tl.load(at, mask=live, other=0.0)


@triton.jit
def row_numbers(
    do,
    out_ptr,
    final_ptr,
    lse_ptr,
    delta_ptr,
    batch,
    head,
    heads,
    Nq,
    rows,
    live,
    o_b,
    o_h,
    o_n,
    o_d,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """(lse, delta) of the rows whose dO is ``do``, as delta.py says. ``out_ptr``: None; or where out is, beside the lse
    that forward left (``final_ptr``): then they are found here, and left for all later kernels."""
    lse_at, delta_at = vector(lse_ptr, batch, head, heads, Nq), vector(delta_ptr, batch, head, heads, Nq)
    if out_ptr is None:
        return load_lse(lse_at, rows, live), tl.load(delta_at + rows, mask=live, other=0.0)
    else:
        out = load_rows(matrix(out_ptr, batch, head, o_b, o_h), rows, o_n, o_d, live, HEAD_DIM, BLOCK_D)
        final = tl.load(vector(final_ptr, batch, head, heads, Nq) + rows, mask=live, other=float("-inf"))
        lse, delta = in_log2(final), tl.sum(do.to(tl.float32) * out.to(tl.float32), 1)
        tl.store(lse_at + rows, lse, mask=live)
        tl.store(delta_at + rows, delta, mask=live)
        return lse, delta


@triton.jit
def in_log2(lse):
    """In units of log2, and +inf for a row with no key: then every exp2(score - lse) is 0."""
    return tl.where(lse == float("-inf"), float("inf"), lse * LOG2_E)


@triton.jit
def load_lse(pointer, rows, live):
    """Log-sum-exp as delta.py leaves it. Where there is no row, q and dO are 0, and so whatever is a product of them,
    for an lse of 0 too: another number would be selected when it is used, by masks that are kept until then."""
    return tl.load(pointer + rows, mask=live, other=0.0)


@triton.jit
def store_gradient(base, rows, gradient, live, ADD: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Gradients are contiguous buffers of the engine's own; a later kernel of a chain adds to what is there."""
    at = addresses(base, rows, HEAD_DIM, 1, BLOCK_D)
    mask = inside(live, HEAD_DIM, BLOCK_D)
    if ADD:
        gradient += tl.load(at, mask=mask, other=0.0).to(tl.float32)
    tl.store(at, gradient.to(base.dtype.element_ty), mask=mask)
