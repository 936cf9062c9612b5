"""Where a generated kernel finds its blocks: orders, lengths, addresses, loads and stores.

Names: ``t`` is a rank, ``c`` a class and (PERIOD, COUNT, START) the constants of an order (compiler/passes/order.py),
where COUNT is a tuple of digits (extent, stride) if the order has any; ``first`` is the physical row of logical
position 0; (begin, end) are the ranks of a class that have a row in q. Kernels get these through
runtime/engines/tiles.py.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import math

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


# Integers ---------------------------------------------------------------------------------------------------------


@triton.jit
def floormod(x, DIVISOR: tl.constexpr):
    """x mod DIVISOR in 0..DIVISOR-1, also for x < 0, where Triton's % keeps the sign of x."""
    rest = x % DIVISOR
    return tl.where(rest < 0, rest + DIVISOR, rest)


@triton.jit
def floordiv(x, DIVISOR: tl.constexpr):
    """x div DIVISOR rounded towards minus infinity, where Triton's // rounds towards zero."""
    return (x - floormod(x, DIVISOR)) // DIVISOR


# Orders and places ------------------------------------------------------------------------------------------------


@triton.constexpr_function
def tiled(COUNT):
    """Whether an order has digits. Then the tokens that exist in the last period need not be its first ranks."""
    return not isinstance(COUNT, int)


@triton.constexpr_function
def held(COUNT):
    """Ranks of a period."""
    return COUNT if isinstance(COUNT, int) else math.prod(extent for extent, _ in COUNT)


@triton.jit
def token(c, t, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """The logical position of rank t of class c."""
    if tiled(COUNT):
        return PERIOD * (t // held(COUNT)) + (START + c + offset(t % held(COUNT), COUNT))
    elif COUNT == 1:
        return PERIOD * t + (START + c)
    else:
        return PERIOD * (t // COUNT) + (START + c + t % COUNT)


@triton.constexpr_function
def even(BLOCK, COUNT):
    """Whether token(c, block * BLOCK + t) is token(c, block * BLOCK) + token(0, t) - START for every block and t."""
    for extent, _ in COUNT if not isinstance(COUNT, int) else ((COUNT, 1),):
        if extent > BLOCK:
            return BLOCK > 0 and extent % BLOCK == 0 and not isinstance(COUNT, int)
        if BLOCK % extent:
            return False
        BLOCK //= extent
    return True


@triton.jit
def offset(t, DIGITS: tl.constexpr):
    """Where rank t of a period lies in it: the sum of digit * stride."""
    total = t % DIGITS[0][0] * DIGITS[0][1]
    for k in tl.static_range(1, len(DIGITS)):
        t = t // DIGITS[k - 1][0]
        total += t % DIGITS[k][0] * DIGITS[k][1]
    return total


@triton.jit
def ranks(c, n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """How many tokens of class c lie in 0..n-1; with digits, the ranks of all periods that have one. Existence is asked
    of ranks, and of tokens only below this end: the token of a rank far beyond it may overflow."""
    rest = tl.maximum(n - START - c, 0)
    if tiled(COUNT):
        return tl.cdiv(rest, PERIOD) * held(COUNT)
    else:
        return rest // PERIOD * COUNT + tl.minimum(rest % PERIOD, COUNT)


@triton.jit
def exists(c, t, n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """Whether rank t of class c, which lies below ``ranks``, has a token below n, in an order with digits."""
    return token(c, t, PERIOD, COUNT, START) < n


@triton.jit
def complete(c, n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """The ranks below this one all have a token in 0..n-1, in an order with digits."""
    return tl.maximum(n - START - c, 0) // PERIOD * held(COUNT)


@triton.jit
def sequence(spans_ptr, heads, Nk, PACKED: tl.constexpr):
    """(batch element, head, physical row of position 0, length n) of this program instance.

    ``spans_ptr``: None; or [start, end) of each batch element; PACKED: where each document begins and, once more, where
    the last one ends, all in batch element 0. No place outside 0..Nk is read, whatever they hold.
    """
    element = tl.program_id(1) // heads
    head = tl.program_id(1) % heads
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
):
    """(class, block, begin, end) of this program instance; the block is -1 where it has no query.

    The tiles ``split_lo <= I < split_hi`` are those of a launch of their own, which shares out their keys (SPLIT), and
    of no other. The last block comes first: in causal programs it has the most keys, and long work is best started
    early.
    """
    c = tl.program_id(0) % CLASSES
    begin, end = query_window(c, first, n, query_offset, Nq, PERIOD, COUNT, START)
    top = tl.cdiv(end, BLOCK)
    if SPLIT:
        top = tl.minimum(top, tl.minimum(split_hi, tl.cdiv(end, TILE)) * (TILE // BLOCK))
    block = top - 1 - tl.program_id(0) // CLASSES
    tile = block // (TILE // BLOCK)
    mine = (begin < end) & (block >= begin // BLOCK) & (((tile >= split_lo) & (tile < split_hi)) == SPLIT)
    return c, tl.where(mine, block, -1), begin, end


@triton.jit
def key_block(
    n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr, CLASSES: tl.constexpr, BLOCK: tl.constexpr
):
    """(class, block, ranks of the class) of this program instance; the block is -1 where it has no key."""
    c = tl.program_id(0) % CLASSES
    block = tl.program_id(0) // CLASSES
    count = ranks(c, n, PERIOD, COUNT, START)
    return c, tl.where(block * BLOCK < count, block, -1), count


@triton.jit
def present(block, count, BLOCK: tl.constexpr):
    """Which ranks of a block exist."""
    return block * BLOCK + tl.arange(0, BLOCK) < count


# Memory -----------------------------------------------------------------------------------------------------------
# Row offsets are 64 bits wide: at a million tokens a row times its stride passes 2**31.


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
):
    """(q, dO, lse, delta) of one block; ``first`` is the row in q of logical position 0, which may be negative. What
    exists are the ranks, with digits the rows, in begin..end-1."""
    a = block * BLOCK + tl.arange(0, BLOCK)
    rows = first + token(c, a, PERIOD, COUNT, START)
    if tiled(COUNT):
        live = (rows >= begin) & (rows < end)
    else:
        live = (a >= begin) & (a < end)
    q = load_block(q_at, block, c, first, live, q_n, q_d, PERIOD, COUNT, START, HEAD_DIM, BLOCK_D, BLOCK, False)
    do = load_block(do_at, block, c, first, live, do_n, do_d, PERIOD, COUNT, START, HEAD_DIM, BLOCK_D, BLOCK, False)
    return q, do, load_lse(lse_at, rows, live), tl.load(delta_at + rows, mask=live, other=0.0)


@triton.jit
def load_lse(pointer, rows, live):
    """Log-sum-exp in units of log2, +inf where there is no row or no key: then every exp2(score - lse) is 0."""
    lse = tl.load(pointer + rows, mask=live, other=float("inf")) * LOG2_E
    return tl.where(lse == float("-inf"), float("inf"), lse)


@triton.jit
def store_gradient(base, rows, gradient, live, ADD: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Gradients are contiguous buffers of the engine's own; a later kernel of a chain adds to what is there."""
    at = addresses(base, rows, HEAD_DIM, 1, BLOCK_D)
    mask = inside(live, HEAD_DIM, BLOCK_D)
    if ADD:
        gradient += tl.load(at, mask=mask, other=0.0).to(tl.float32)
    tl.store(at, gradient.to(base.dtype.element_ty), mask=mask)
