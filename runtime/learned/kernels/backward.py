"""Attention over lists, backward, with the rows or the keys held.

Starts from the final lse and delta, and adds to gradients in fp32. Sums of dS give the gradients of gates: over a key's
queries (``by_key``) and over a query's keys (``by_row``).
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from ...engines.triton.block_math import add_product, capped, product, uncapped
from ...engines.triton.lanes import bundles, key_head, query_head
from ...engines.triton.memory import LOG2_E, addresses, inside, load_rows, matrix, vector
from .places import group_of, held_rows, kept, keys_of, numbers_of, row_gates, rows_of, with_gates


@triton.jit
def list_backward_rows(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dq_ptr, dk_ptr, dv_ptr, by_key_ptr, by_row_ptr,
    entries_ptr, since_ptr, until_ptr, gate_ptr, size_ptr, ends_ptr, rows_ptr, row_gate_ptr, head_gate_ptr,
    queries_ptr, keys_ptr, lengths_ptr, tables,
    q_b, q_h, q_n, q_d, k_b, k_h, k_n, k_d, v_b, v_h, v_n, v_d, do_b, do_h, do_n, do_d,
    heads, group, R, Nq, Nk, blocks, tiles, slots, scale, offset,
    KEEP: tl.constexpr, CAUSAL: tl.constexpr, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr, GROUPS: tl.constexpr,
    TILE: tl.constexpr, BLOCK: tl.constexpr, PADDED: tl.constexpr, PACK: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """dq; where dk_ptr is given dk and dv, by atomic additions: for lists of single keys, which no kernel can hold.

    dq [B, Hq, Nq, HEAD_DIM], dk and dv [B, Hkv, Nk, HEAD_DIM], by_row [B, Hq, R] are contiguous; by_key [B, bundles,
    blocks, slots, parts of an entry] too.
    """
    batch, bundle, count, lists, tile, a, row, far, live, head, row_gate, row_live = held_rows(
        heads, group, R, offset, queries_ptr, rows_ptr, row_gate_ptr, head_gate_ptr, GROUPS, TILE, BLOCK_Q, PACK
    )
    i = row + far
    query, each = offset + i, far * 0 + head
    q = load_rows(matrix(q_ptr, batch, head, q_b, q_h), i, q_n, q_d, live, HEAD_DIM, BLOCK_D)
    do = load_rows(matrix(do_ptr, batch, head, do_b, do_h), i, do_n, do_d, live, HEAD_DIM, BLOCK_D)
    lse = tl.load(vector(lse_ptr, batch, head, heads, Nq) + i, mask=live, other=0.0) * LOG2_E
    delta = tl.load(vector(delta_ptr, batch, head, heads, Nq) + i, mask=live, other=0.0)
    key = key_head(bundle, group, PACK)
    k_at, v_at = matrix(k_ptr, batch, key, k_b, k_h), matrix(v_ptr, batch, key, v_b, v_h)
    owner = (batch.to(tl.int64) * (heads // group) + key) * Nk * HEAD_DIM
    at = (lists * tiles + tile) * slots
    nq, nk, length = tl.load(lengths_ptr + 2 * batch), tl.load(lengths_ptr + 2 * batch + 1), tl.load(keys_ptr + batch)
    dq = tl.zeros([BLOCK_Q, BLOCK_D], tl.float32)
    by_row = tl.zeros([BLOCK_Q], tl.float32)
    for start in range(0, tl.load(ends_ptr + lists * blocks + tl.program_id(0)) * PADDED, BLOCK_K):
        first, away, key_live, since, until, gate = keys_of(
            start, at, entries_ptr, since_ptr, until_ptr, gate_ptr, slots, length, size_ptr, batch * Nk, BLOCK, PADDED,
            BLOCK_K,
        )  # fmt: skip
        j = first + away
        k = load_rows(k_at + tl.cast(first, tl.int64) * k_n, away, k_n, k_d, key_live, HEAD_DIM, BLOCK_D)
        v = load_rows(v_at + tl.cast(first, tl.int64) * v_n, away, v_n, v_d, key_live, HEAD_DIM, BLOCK_D)
        keep = kept(
            query[:, None], j[None, :], row_live[:, None], key_live[None, :], since[None, :], until[None, :], since_ptr,
            until_ptr, batch, each[:, None], nq, nk, tables, CAUSAL, KEEP,
        )  # fmt: skip
        scores = capped(product(q, tl.trans(k), PRECISION) * (scale * LOG2_E), SOFTCAP)
        gated = with_gates(scores, row_gate[:, None], gate[None, :], row_gate_ptr, head_gate_ptr, gate_ptr, size_ptr)
        p = tl.where(keep, tl.exp2(gated - lse[:, None]), 0.0)
        ds = tl.where(keep, p * (product(do, tl.trans(v), PRECISION) - delta[:, None]), 0.0)
        if by_row_ptr is not None:
            by_row += tl.sum(ds, 1)
        if by_key_ptr is not None:
            store_by_key(by_key_ptr, tl.sum(ds, 0), batch, bundle, count, blocks, slots, start, PADDED, BLOCK_K)
        ds = uncapped(ds, scores, SOFTCAP)
        dq = add_product(dq, ds, k, PRECISION)
        if dk_ptr is not None:
            spot = addresses(dk_ptr + owner, j, HEAD_DIM, 1, BLOCK_D)
            whole = inside(key_live, HEAD_DIM, BLOCK_D)
            tl.atomic_add(spot, product(tl.trans(ds.to(q.dtype)), q, PRECISION) * scale, mask=whole)
            spot = addresses(dv_ptr + owner, j, HEAD_DIM, 1, BLOCK_D)
            tl.atomic_add(spot, product(tl.trans(p.to(do.dtype)), do, PRECISION), mask=whole)
    dq_at = dq_ptr + (batch.to(tl.int64) * heads + head) * Nq * HEAD_DIM
    spot = addresses(dq_at, i, HEAD_DIM, 1, BLOCK_D)
    mine = inside(live, HEAD_DIM, BLOCK_D)
    tl.store(spot, tl.load(spot, mask=mine, other=0.0) + dq * scale, mask=mine)
    if by_row_ptr is not None:
        tl.store(vector(by_row_ptr, batch, head, heads, R) + a, by_row, mask=live)


@triton.jit
def store_by_key(
    by_key_ptr, sums, batch, bundle, count, blocks, slots, start, PADDED: tl.constexpr, BLOCK_K: tl.constexpr
):
    """The sums of dS over the rows of a block, [keys], added up by entry, or by part of one."""
    base = by_key_ptr + ((batch.to(tl.int64) * count + bundle) * blocks + tl.program_id(0)) * slots * (
        1 if PADDED <= BLOCK_K else PADDED // BLOCK_K
    )
    if PADDED < BLOCK_K:
        slot = start // PADDED + tl.arange(0, BLOCK_K // PADDED)
        tl.store(base + slot, tl.sum(tl.reshape(sums, [BLOCK_K // PADDED, PADDED]), 1), mask=slot < slots)
    else:
        tl.store(base + start // BLOCK_K, tl.sum(sums, 0))


@triton.jit
def list_backward_keys(
    q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr, by_key_ptr,
    entries_ptr, since_ptr, until_ptr, gate_ptr, size_ptr, order_ptr, offsets_ptr, rows_ptr, row_gate_ptr,
    head_gate_ptr, queries_ptr, keys_ptr, lengths_ptr, tables,
    q_b, q_h, q_n, q_d, k_b, k_h, k_n, k_d, v_b, v_h, v_n, v_d, do_b, do_h, do_n, do_d,
    heads, group, R, Nq, Nk, tiles, slots, scale, offset,
    KEEP: tl.constexpr, CAUSAL: tl.constexpr, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr, GROUPS: tl.constexpr,
    TILE: tl.constexpr, BLOCK: tl.constexpr, PADDED: tl.constexpr, PACK: tl.constexpr, ALONE: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """dk and dv [B, Hkv, Nk, HEAD_DIM], contiguous. TILE 0: an instance holds BLOCK_K places of the list that all rows
    share. Else it holds BLOCK_K keys of a block, and walks the tiles that read it: order [B, G, tiles * slots] sorts
    the entries, and those of block e are order[offsets[e]] .. order[offsets[e + 1] - 1]. ALONE: no other instance adds
    to the same keys."""
    count = bundles(heads, group, PACK)
    batch, bundle = tl.program_id(1) // count, tl.program_id(1) % count
    g = group_of(bundle, count, GROUPS)
    lists = batch.to(tl.int64) * GROUPS + g
    nq, nk, length = tl.load(lengths_ptr + 2 * batch), tl.load(lengths_ptr + 2 * batch + 1), tl.load(keys_ptr + batch)
    key = key_head(bundle, group, PACK)
    ranks: tl.constexpr = BLOCK_Q // PACK
    if TILE == 0:
        near, far, key_live, since, until, gate = keys_of(
            tl.program_id(0) * BLOCK_K, lists * slots, entries_ptr, since_ptr, until_ptr, gate_ptr, slots, length,
            size_ptr, batch * Nk, BLOCK, PADDED, BLOCK_K,
        )  # fmt: skip
        j = tl.where(key_live, near + far, 0)
        first = tl.maximum(tl.min(tl.where(key_live, tl.maximum(since, j if CAUSAL else 0), 0x7FFFFFFF), 0) - offset, 0)
        last = tl.max(tl.where(key_live, until, 0), 0) - offset
        low, high = 0, tl.cdiv(R, ranks)
        if rows_ptr is None:
            low, high = first // ranks, tl.minimum(high, tl.cdiv(tl.minimum(last, R), ranks))
    else:
        block = tl.program_id(0) // (PADDED // BLOCK_K)
        place = tl.program_id(0) % (PADDED // BLOCK_K) * BLOCK_K + tl.arange(0, BLOCK_K)
        j = block * BLOCK + place
        exists = (place < BLOCK) & (j < length)
        j = tl.where(exists, j, 0)
        per: tl.constexpr = (TILE + BLOCK_Q // PACK - 1) // (BLOCK_Q // PACK)
        begin = offsets_ptr + lists * (tl.num_programs(0) // (PADDED // BLOCK_K) + 1) + block
        low, high = tl.load(begin) * per, tl.load(begin + 1) * per
    k = load_rows(matrix(k_ptr, batch, key, k_b, k_h), j, k_n, k_d, j >= 0, HEAD_DIM, BLOCK_D)
    v = load_rows(matrix(v_ptr, batch, key, v_b, v_h), j, v_n, v_d, j >= 0, HEAD_DIM, BLOCK_D)
    dk = tl.zeros([BLOCK_K, BLOCK_D], tl.float32)
    dv = tl.zeros([BLOCK_K, BLOCK_D], tl.float32)
    by_key = tl.zeros([BLOCK_K], tl.float32)
    head = query_head(bundle, group, BLOCK_Q, PACK)
    each = head + tl.zeros([BLOCK_Q], tl.int32)
    q_at, do_at = matrix(q_ptr, batch, head, q_b, q_h), matrix(do_ptr, batch, head, do_b, do_h)
    lse_at, delta_at = vector(lse_ptr, batch, head, heads, Nq), vector(delta_ptr, batch, head, heads, Nq)
    count_q = tl.load(queries_ptr + batch) - offset
    for item in range(low, high):
        if TILE == 0:
            rows = item
        else:
            code = tl.load(order_ptr + lists * tiles * slots + item // per)
            rows = code // slots * per + item % per
            # One slot for all keys.
            since, until, gate = numbers_of(lists * tiles * slots + code, place, since_ptr, until_ptr, gate_ptr)
            key_live = exists & (gate > float("-inf"))
            gate = tl.where(key_live, gate, 0.0)
            if size_ptr is not None:
                gate += tl.load(size_ptr + batch * Nk + j)
            gate *= LOG2_E
        _, a, row, away, live = rows_of(rows, batch, g, group, R, count_q, rows_ptr, GROUPS, TILE, BLOCK_Q, PACK)
        i = row + away
        query = offset + i
        row_gate, row_live = row_gates(a, each, batch, g, R, heads, row_gate_ptr, head_gate_ptr, live, GROUPS)
        q = load_rows(q_at + tl.cast(row, tl.int64) * q_n, away, q_n, q_d, live, HEAD_DIM, BLOCK_D)
        do = load_rows(do_at + tl.cast(row, tl.int64) * do_n, away, do_n, do_d, live, HEAD_DIM, BLOCK_D)
        lse = tl.load(lse_at + i, mask=live, other=0.0) * LOG2_E
        delta = tl.load(delta_at + i, mask=live, other=0.0)
        keep = kept(
            query[None, :], j[:, None], row_live[None, :], key_live[:, None], since[:, None], until[:, None], since_ptr,
            until_ptr, batch, each[None, :], nq, nk, tables, CAUSAL, KEEP,
        )  # fmt: skip
        scores = capped(product(k, tl.trans(q), PRECISION) * (scale * LOG2_E), SOFTCAP)
        gated = with_gates(scores, row_gate[None, :], gate[:, None], row_gate_ptr, head_gate_ptr, gate_ptr, size_ptr)
        p = tl.where(keep, tl.exp2(gated - lse[None, :]), 0.0)
        ds = tl.where(keep, p * (product(v, tl.trans(do), PRECISION) - delta[None, :]), 0.0)
        if by_key_ptr is not None:
            by_key += tl.sum(ds, 1)
        dv = add_product(dv, p, do, PRECISION)
        dk = add_product(dk, uncapped(ds, scores, SOFTCAP), q, PRECISION)
    owner = (batch.to(tl.int64) * (heads // group) + key) * Nk * HEAD_DIM
    if TILE == 0:
        exists = key_live
        if by_key_ptr is not None:
            width = slots * PADDED
            x = tl.program_id(0) * BLOCK_K + tl.arange(0, BLOCK_K)
            tl.store(by_key_ptr + (batch.to(tl.int64) * count + bundle) * width + x, by_key, mask=x < width)
    mine = inside(exists, HEAD_DIM, BLOCK_D)
    add_to(addresses(dk_ptr + owner, j, HEAD_DIM, 1, BLOCK_D), dk * scale, mine, ALONE)
    add_to(addresses(dv_ptr + owner, j, HEAD_DIM, 1, BLOCK_D), dv, mine, ALONE)


@triton.jit
def add_to(at, value, mine, ALONE: tl.constexpr):
    if ALONE:
        tl.store(at, tl.load(at, mask=mine, other=0.0) + value, mask=mine)
    else:
        tl.atomic_add(at, value, mask=mine)
