"""The kernels that join what the instances of a shared-out block found (``lanes.py``): one softmax, or a sum of
gradients."""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from .lanes import bundles, owned, query_head, query_lanes
from .memory import LN_2, LOG2_E, addresses, inside, load_rows, matrix, store_gradient, vector
from .orders import token
from .places import key_block, query_block, sequence


@triton.jit
def take(acc, m, z, part, top):
    """Take one softmax (part, top), whose sum is 1, into the state of another."""
    new = tl.maximum(m, top)
    shift = tl.where(new == float("-inf"), 0.0, new)  # else -inf - -inf is NaN
    fade, weight = tl.exp2(m - shift), tl.exp2(top - shift)
    return acc * fade[:, None] + part * weight[:, None], new, z * fade + weight


@triton.jit(do_not_specialize=["heads", "group", "Nq", "Nk", "query_offset", "owner", "split_lo", "split_hi", "shares"])
def join(
    part_ptr, part_lse_ptr, out_ptr, lse_ptr, spans_ptr, owner_ptr,
    o_b, o_h, o_n, o_d, heads, group, Nq, Nk, query_offset, owner, split_lo, split_hi, shares,
    RESUME: tl.constexpr,
    CROSS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, PACK: tl.constexpr,
    PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr, CLASSES: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """On the grid of axes 0 and 1 of the kernel that left the parts, in the order of shares: the same bits every time.

    part [instances of axis 1, shares, instances of axis 0, BLOCK_Q, HEAD_DIM], and part_lse without the last axis, are
    fp32. RESUME: what an earlier kernel left in (out, lse) is one more part.
    """
    batch, bundle, first, n = sequence(spans_ptr, bundles(heads, group, PACK), Nk, False, 1)
    if CROSS:  # the queries are a sequence of their own, which starts at row 0 of q
        first, n, query_offset = 0 * n, Nq, 0 * n
    n = owned(n, owner_ptr, owner, bundle if PACK == 1 else bundle * group)
    c, block, begin, end = query_block(
        first, n, query_offset, Nq, split_lo, split_hi, PERIOD, COUNT, START, CLASSES, TILE, BLOCK_Q // PACK, True, 1
    )
    if block < 0:
        return
    a, live = query_lanes(block, begin, end, group, BLOCK_Q, PACK)
    head = query_head(bundle, group, BLOCK_Q, PACK)
    rows = token(c, a, PERIOD, COUNT, START) + first - query_offset
    out_at = matrix(out_ptr, batch, head, o_b, o_h)
    lse_at = vector(lse_ptr, batch, head, heads, Nq) + rows
    acc = tl.zeros([BLOCK_Q, BLOCK_D], dtype=tl.float32)
    m = tl.full([BLOCK_Q], float("-inf"), tl.float32)
    z = tl.zeros([BLOCK_Q], dtype=tl.float32)
    if RESUME:
        earlier = load_rows(out_at, rows, o_n, o_d, live, HEAD_DIM, BLOCK_D).to(tl.float32)
        acc, m, z = take(acc, m, z, earlier, tl.load(lse_at, mask=live, other=float("-inf")) * LOG2_E)
    start = tl.program_id(1).to(tl.int64) * shares
    for at in range(shares):
        place = ((start + at) * tl.num_programs(0) + tl.program_id(0)) * BLOCK_Q + tl.arange(0, BLOCK_Q)
        part = load_rows(part_ptr, place, HEAD_DIM, 1, live, HEAD_DIM, BLOCK_D)
        acc, m, z = take(acc, m, z, part, tl.load(part_lse_ptr + place, mask=live, other=float("-inf")) * LOG2_E)
    total = tl.where(z == 0.0, 1.0, z)
    at = addresses(out_at, rows, o_n, o_d, BLOCK_D)
    tl.store(at, (acc / total[:, None]).to(out_ptr.dtype.element_ty), mask=inside(live, HEAD_DIM, BLOCK_D))
    tl.store(lse_at, (m + tl.log2(total)) * LN_2, mask=live)


@triton.jit(do_not_specialize=["heads", "group", "Nq", "Nk", "query_offset", "owner", "split_lo", "split_hi", "shares"])
def add_up(
    part_ptr, gradient_ptr, spans_ptr, owner_ptr,
    heads, group, Nq, Nk, query_offset, owner, split_lo, split_hi, shares,
    KEYS: tl.constexpr, MIXED: tl.constexpr, ADD: tl.constexpr,
    CROSS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK: tl.constexpr,
    PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr, CLASSES: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """On such a grid too, of a gradient of queries, or (KEYS) of keys. part [instances of axis 1, shares, instances of
    axis 0, BLOCK, HEAD_DIM], fp32, is stored, or (ADD) added to what is there. MIXED: programs share key heads."""
    owners = heads // group if KEYS else heads
    batch, head, first, n = sequence(spans_ptr, owners, Nk, False, 1)
    if KEYS:
        c, block, count = key_block(n, split_lo, split_hi, PERIOD, COUNT, START, CLASSES, TILE, BLOCK, True, 1)
        if not MIXED:
            block = tl.where(owned(1, owner_ptr, owner, head * group) > 0, block, -1)
        begin, end = 0 * count, count
    else:
        if CROSS:  # the queries are a sequence of their own, which starts at row 0 of q
            first, n, query_offset = 0 * n, Nq, 0 * n
        n = owned(n, owner_ptr, owner, head)
        c, block, begin, end = query_block(
            first, n, query_offset, Nq, split_lo, split_hi, PERIOD, COUNT, START, CLASSES, TILE, BLOCK, True, 1
        )
        first -= query_offset
    if block < 0:
        return
    a, live = query_lanes(block, begin, end, group, BLOCK, 1)
    start = tl.program_id(1).to(tl.int64) * shares
    total = tl.zeros([BLOCK, BLOCK_D], dtype=tl.float32)
    for at in range(shares):
        place = ((start + at) * tl.num_programs(0) + tl.program_id(0)) * BLOCK + tl.arange(0, BLOCK)
        total += load_rows(part_ptr, place, HEAD_DIM, 1, live, HEAD_DIM, BLOCK_D)
    rows = token(c, a, PERIOD, COUNT, START) + first
    at = vector(gradient_ptr, batch, head, owners, (Nk if KEYS else Nq).to(tl.int64) * HEAD_DIM)
    store_gradient(at, rows, total, live, ADD, HEAD_DIM, BLOCK_D)
