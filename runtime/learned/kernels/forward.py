"""Attention over lists, forward: starts from the (out, lse) that is there, in fp32, and leaves both merged."""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from ...engines.triton.block_math import add_product, capped, finish, product, resume
from ...engines.triton.lanes import key_head
from ...engines.triton.memory import LOG2_E, load_rows, matrix, vector
from .places import held_rows, kept, keys_of, with_gates


@triton.jit
def list_forward(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr,
    entries_ptr, since_ptr, until_ptr, gate_ptr, size_ptr, ends_ptr, rows_ptr, row_gate_ptr, head_gate_ptr,
    queries_ptr, keys_ptr, lengths_ptr, tables,
    q_b, q_h, q_n, q_d, k_b, k_h, k_n, k_d, v_b, v_h, v_n, v_d, o_b, o_h, o_n, o_d,
    heads, group, R, Nq, Nk, blocks, tiles, slots, scale, offset,
    KEEP: tl.constexpr, CAUSAL: tl.constexpr, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr, GROUPS: tl.constexpr,
    TILE: tl.constexpr, BLOCK: tl.constexpr, PADDED: tl.constexpr, PACK: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    batch, bundle, _, lists, tile, _, row, far, live, head, row_gate, row_live = held_rows(
        heads, group, R, offset, queries_ptr, rows_ptr, row_gate_ptr, head_gate_ptr, GROUPS, TILE, BLOCK_Q, PACK
    )
    i = row + far
    query, each = offset + i, far * 0 + head
    q = load_rows(matrix(q_ptr, batch, head, q_b, q_h), i, q_n, q_d, live, HEAD_DIM, BLOCK_D)
    out_at, lse_at = matrix(out_ptr, batch, head, o_b, o_h), vector(lse_ptr, batch, head, heads, Nq)
    acc, m, z = resume(out_at, lse_at, i, o_n, o_d, live, HEAD_DIM, BLOCK_D, BLOCK_Q, False)
    key = key_head(bundle, group, PACK)
    k_at, v_at = matrix(k_ptr, batch, key, k_b, k_h), matrix(v_ptr, batch, key, v_b, v_h)
    at = (lists * tiles + tile) * slots
    nq, nk, length = tl.load(lengths_ptr + 2 * batch), tl.load(lengths_ptr + 2 * batch + 1), tl.load(keys_ptr + batch)
    for start in range(0, tl.load(ends_ptr + lists * blocks + tl.program_id(0)) * PADDED, BLOCK_K):
        first, away, key_live, since, until, gate = keys_of(
            start, at, entries_ptr, since_ptr, until_ptr, gate_ptr, slots, length, size_ptr, batch * Nk, BLOCK, PADDED,
            BLOCK_K,
        )  # fmt: skip
        k = load_rows(k_at + tl.cast(first, tl.int64) * k_n, away, k_n, k_d, key_live, HEAD_DIM, BLOCK_D)
        v = load_rows(v_at + tl.cast(first, tl.int64) * v_n, away, v_n, v_d, key_live, HEAD_DIM, BLOCK_D)
        keep = kept(
            query[:, None], (first + away)[None, :], row_live[:, None], key_live[None, :], since[None, :],
            until[None, :], since_ptr, until_ptr, batch, each[:, None], nq, nk, tables, CAUSAL, KEEP,
        )  # fmt: skip
        scores = capped(product(q, tl.trans(k), PRECISION) * (scale * LOG2_E), SOFTCAP)
        scores = with_gates(scores, row_gate[:, None], gate[None, :], row_gate_ptr, head_gate_ptr, gate_ptr, size_ptr)
        scores = tl.where(keep, scores, float("-inf"))
        top = tl.maximum(m, tl.max(scores, 1))
        shift = tl.where(top == float("-inf"), 0.0, top)  # else -inf - -inf is NaN
        p, fade = tl.exp2(scores - shift[:, None]), tl.exp2(m - shift)
        acc = add_product(acc * fade[:, None], p, v, PRECISION)
        m, z = top, z * fade + tl.sum(p, 1)
    finish(acc, m, z, out_at, lse_at, i, o_n, o_d, live, HEAD_DIM, BLOCK_D)
