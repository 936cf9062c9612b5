"""The statements of kernels that hold a block of queries and sweep keys: forward, and the gradient of queries."""

from __future__ import annotations

from .kernel import EXISTS, LAST_ROW

QUERY_HEAD = """
batch, bundle, first, <KEYS> = sequence(spans_ptr, bundles(heads, group, PACK), Nk, PACKED, turn)
<QUERIES> = owned(<COUNT>, owner_ptr, owner, bundle if PACK == 1 else bundle * group)
c, block, begin, end = query_block(
    <FIRST>, <QUERIES>, <OFFSET>, Nq, split_lo, split_hi,
    HOLE_period, HOLE_count, HOLE_start, HOLE_classes, HOLE_tile, BLOCK_Q // PACK, SPLIT, turn)
if block < 0:
    return
I = block // (HOLE_tile // (BLOCK_Q // PACK))
a, live = query_lanes(block, begin, end, group, BLOCK_Q, PACK)
head, kv_head = query_head(bundle, group, BLOCK_Q, PACK), key_head(bundle, group, PACK)
rows = <ROW>
q = load_rows(matrix(q_ptr, batch, head, q_b, q_h), rows, q_n, q_d, live, HEAD_DIM, BLOCK_D)
k_at = matrix(k_ptr, batch, kv_head, k_b, k_h)
v_at = matrix(v_ptr, batch, kv_head, v_b, v_h)
"""
FORWARD_HEAD = """
out_at, lse_at, there = landing(out_ptr, lse_ptr, batch, head, rows, heads, Nq, o_b, o_h, BLOCK_Q, SPLIT)
acc, m, z = {start}
score_scale = scale * LOG2_E
"""
FRESH = "fresh(BLOCK_Q, BLOCK_D)"
RESUME = "resume(out_at, lse_at, there, o_n, o_d, live, HEAD_DIM, BLOCK_D, BLOCK_Q, SPLIT)"
FORWARD_END = "finish(acc, m, z, out_at, lse_at, there, o_n, o_d, live, HEAD_DIM, BLOCK_D)"
GRADIENT_HEAD = """
do = load_rows(matrix(do_ptr, batch, head, do_b, do_h), rows, do_n, do_d, live, HEAD_DIM, BLOCK_D)
lse, delta = row_numbers(
    do, out_ptr, final_ptr, lse_ptr, delta_ptr, batch, head, heads, Nq, rows, live, o_b, o_h, o_n, o_d,
    HEAD_DIM, BLOCK_D)
dq = tl.zeros([BLOCK_Q, BLOCK_D], dtype=tl.float32)
score_scale = scale * LOG2_E
"""
GRADIENT_END = """
dq_at, there = gradient_landing(dq_ptr, batch, head, heads, Nq, rows, HEAD_DIM, BLOCK_Q, SPLIT)
store_gradient(dq_at, there, dq * scale, live, ADD, HEAD_DIM, BLOCK_D)
"""
STEPS = {
    "forward": "acc, m, z = attend_{}(acc, m, z, q, k, v, {}score_scale, SOFTCAP, PRECISION)",
    "backward_query": "dq = query_gradient_{}(dq, q, k, v, do, lse, delta, {}score_scale, SOFTCAP, PRECISION)",
}
DIAGONAL_STEPS = {
    "forward": "acc, m, z = attend_diagonal(acc, m, z, q, k, v, keep, score_scale, SOFTCAP)",
    "backward_query": "dq = query_gradient_diagonal(dq, q, k, v, do, lse, delta, keep, score_scale, SOFTCAP)",
}
KEYS = """
count = ranks(kc, <KEYS>, HOLE_period, HOLE_count, HOLE_start)
T = tl.cdiv(count, HOLE_tile)
"""
KEY_BOUNDS = """
lo = tl.maximum(HOLE_lo({turn}I, c, {step}T, <LENGTHS>), 0) * (HOLE_tile // BLOCK_K)
hi = tl.minimum(HOLE_hi({turn}I, c, {step}T, <LENGTHS>) * (HOLE_tile // BLOCK_K), tl.cdiv(count, BLOCK_K))
"""
LOAD = """k, v = load_keys(
        k_at, v_at, {}, kc, first, count, k_n, k_d, v_n, v_d, HOLE_period, HOLE_count, HOLE_start,
        HEAD_DIM, BLOCK_D, BLOCK_K, {})"""
KEYS_MASKED = """
lo, hi = share(lo, hi, SPLIT)
lo, hi, HOLE_flag = whole_blocks(lo, hi, 0, whole, HOLE_before)
for j in range(lo, hi):
    b = j * BLOCK_K + tl.arange(0, BLOCK_K)
    keep = HOLE_keep(c, a[:, None], b[None, :], <LENGTHS>)
    {load_whole}
    {step}
"""
KEYS_FULL = """
lo, hi = share(lo, hi, SPLIT)
lo, hi, HOLE_flag = whole_blocks(lo, hi, 0, whole, HOLE_before)
for j in range(lo, hi):
    {load_whole}
    {step_whole}
"""
LAST_KEYS = """
if {any} > 0:
    b = whole * BLOCK_K + tl.arange(0, BLOCK_K)
    keep = {mask}(b < count)[None, :]
    {load_last}
    {step}
"""
KEY_DIAGONALS = """
lo = tl.maximum(HOLE_lo(I, c, {fan}T, <LENGTHS>), 1 - (block + 1) * (BLOCK_Q // PACK))
hi = tl.minimum(HOLE_hi(I, c, {fan}T, <LENGTHS>), count - block * (BLOCK_Q // PACK))
lo, hi = share(lo, hi, SPLIT)
for x in range(lo, hi):
    b = a + x
    keep = {mask}(b >= 0) & (b < count)
    k = load_rows(k_at, first + b, k_n, k_d, keep, HEAD_DIM, BLOCK_D)
    v = load_rows(v_at, first + b, v_n, v_d, keep, HEAD_DIM, BLOCK_D)
    {step}
"""
KEY_MASK = "HOLE_keep(c, a, b, <LENGTHS>) & "

# In orders with digits.
TILED_QUERY_HEAD = QUERY_HEAD.replace(
    "rows = <ROW>\n", f"rows = <ROW>\nlive = live & (rows >= 0) & (rows < {LAST_ROW.format('n')})\n"
)
TILED_LOAD = LOAD.replace("first, count,", "first, n,")
TILED_KEYS_MASKED = f"""
lo, hi = share(lo, hi, SPLIT)
for j in range(lo, hi):
    b = j * BLOCK_K + tl.arange(0, BLOCK_K)
    keep = HOLE_keep(c, a[:, None], b[None, :], <LENGTHS>) & {EXISTS.format("kc")}[None, :]
    {{load_each}}
    {{step}}
"""
TILED_KEYS_FULL = """
lo, hi = share(lo, hi, SPLIT)
whole = complete(kc, n, HOLE_period, HOLE_count, HOLE_start) // BLOCK_K
for j in range(lo, tl.minimum(hi, whole)):
    {load_whole}
    {step_whole}
for j in range(tl.maximum(lo, whole), hi):
    b = j * BLOCK_K + tl.arange(0, BLOCK_K)
    {load_last}
    {step_last}
"""
TILED_STEP_LAST = f"{EXISTS.format('kc')}[None, :], "
