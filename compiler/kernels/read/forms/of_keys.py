"""The statements of kernels that hold a block of keys and sweep queries: the gradients of keys and values."""

from __future__ import annotations

from textwrap import indent

from .kernel import EXISTS, LAST_ROW, SHARE

KEY_HEAD = """
batch, kv_head, first, <KEYS> = sequence(spans_ptr, heads // group, Nk, PACKED, turn)
<ALSO>
c, block, count = key_block(
    <KEYS>, split_lo, split_hi, HOLE_period, HOLE_count, HOLE_start, HOLE_classes, HOLE_tile, BLOCK_K, SPLIT, turn)
if block < 0:
    return
J = block // (HOLE_tile // BLOCK_K)
b = block * BLOCK_K + tl.arange(0, BLOCK_K)
live = b < count
rows = token(c, b, HOLE_period, HOLE_count, HOLE_start) + first
k = load_rows(matrix(k_ptr, batch, kv_head, k_b, k_h), rows, k_n, k_d, live, HEAD_DIM, BLOCK_D)
v = load_rows(matrix(v_ptr, batch, kv_head, v_b, v_h), rows, v_n, v_d, live, HEAD_DIM, BLOCK_D)
dk = tl.zeros([BLOCK_K, BLOCK_D], dtype=tl.float32)
dv = tl.zeros([BLOCK_K, BLOCK_D], dtype=tl.float32)
score_scale = scale * LOG2_E
"""
QUERIES = """
T = tl.cdiv(ranks(qc, <QUERIES>, HOLE_period, HOLE_count, HOLE_start), HOLE_tile)
begin, end = query_window(qc, <FIRST>, <QUERIES>, <OFFSET>, Nq, HOLE_period, HOLE_count, HOLE_start)
"""
QUERY_BOUNDS = """
lo = tl.maximum(HOLE_lo({turn}J, c, {step}T, <LENGTHS>) * (HOLE_tile // BLOCK_Q), begin // BLOCK_Q)
hi = tl.minimum(HOLE_hi({turn}J, c, {step}T, <LENGTHS>) * (HOLE_tile // BLOCK_Q), tl.cdiv(end, BLOCK_Q))
"""
LOAD_QUERIES = """q, do, lse, delta = load_queries(
        q_at, do_at, lse_at, delta_at, i, qc, <FIRST_ROW>, begin, tl.minimum(end, there), q_n, q_d, do_n, do_d,
        HOLE_period, HOLE_count, HOLE_start, HEAD_DIM, BLOCK_D, BLOCK_Q, {})"""
HEAD_OF_GROUP = """
    q_at, do_at = matrix(q_ptr, batch, head, q_b, q_h), matrix(do_ptr, batch, head, do_b, do_h)
    lse_at, delta_at = vector(lse_ptr, batch, head, heads, Nq), vector(delta_ptr, batch, head, heads, Nq)
    there = owned(<QUERIES>, owner_ptr, owner, head)
"""
# Of every query head of the group the blocks, or diagonals, lo..hi-1.
HEADS = f"""
size = tl.maximum(hi - lo, 0)
for turn in range(lo, lo + group * size):
    head = kv_head if ALONE else kv_head * group + (turn - lo) // size
    {{place}} = turn if ALONE else lo + (turn - lo) % size{HEAD_OF_GROUP}"""
# Likewise, the first and the last block.
_EDGE_HEADS = f"""
if owner_ptr is None:
    edges = {{any}}
    size = edge_count(edges)
    for turn in tl.range(0, group * size, num_stages=1):
        head = kv_head if ALONE else kv_head * group + turn // size
        edge, i = edge_block(turn if ALONE else turn % size, edges, low, high){indent(HEAD_OF_GROUP, "    ")}"""
_KEPT_QUERIES = f"""
    a = i * BLOCK_Q + tl.arange(0, BLOCK_Q)
    keep = {{mask}}
    {LOAD_QUERIES}
    dk, dv = key_gradient_kept(dk, dv, q, k, v, do, lse, delta, keep, score_scale, SOFTCAP, PRECISION)
"""
_ALL_QUERIES = f"""
    {LOAD_QUERIES}
    dk, dv = key_gradient_full(dk, dv, q, k, v, do, lse, delta, score_scale, SOFTCAP, PRECISION)
"""
_QUERY_MASK = "HOLE_keep(qc, a[None, :], b[:, None], <LENGTHS>)"
_WHOLE_QUERIES = f"""{SHARE}
lo, hi, HOLE_flag = whole_blocks(lo, hi, low, high, HOLE_before){HEADS.format(place="i").rstrip()}"""


def _load(body: str, whole: str) -> str:
    return body.replace("BLOCK_D, BLOCK_Q, {})", f"BLOCK_D, BLOCK_Q, {whole})")


QUERIES_MASKED, QUERIES_FULL = (
    _WHOLE_QUERIES + _load(body, "owner_ptr is None")
    for body in (_KEPT_QUERIES.replace("{mask}", _QUERY_MASK), _ALL_QUERIES)
)
EDGES_MASKED, EDGES_FULL = (
    _EDGE_HEADS.rstrip() + indent(_load(body, "False"), "    ") for body in (_KEPT_QUERIES, _ALL_QUERIES)
)
QUERY_DIAGONALS = """
lo = tl.maximum(HOLE_lo(J, c, {fan}T, <LENGTHS>), block * BLOCK_K + 1 - end)
hi = tl.minimum(HOLE_hi(J, c, {fan}T, <LENGTHS>), (block + 1) * BLOCK_K - begin)
{share}{heads}
    a = b - x
    keep = {mask}(a >= begin) & (a < tl.minimum(end, there))
    at = <FIRST_ROW> + a
    q = load_rows(q_at, at, q_n, q_d, keep, HEAD_DIM, BLOCK_D)
    do = load_rows(do_at, at, do_n, do_d, keep, HEAD_DIM, BLOCK_D)
    lse = load_lse(lse_at, at, keep)
    delta = tl.load(delta_at + at, mask=keep, other=0.0)
    dk, dv = key_gradient_diagonal(dk, dv, q, k, v, do, lse, delta, keep, score_scale, SOFTCAP)
""".replace("{share}", SHARE).replace("{heads}", HEADS.format(place="x").rstrip())
QUERY_MASK = "HOLE_keep(qc, a, b, <LENGTHS>) & "
KEY_END = """
dk_at, there = gradient_landing(dk_ptr, batch, kv_head, heads // group, Nk, rows, HEAD_DIM, BLOCK_K, SPLIT)
store_gradient(dk_at, there, dk * scale, live, ADD, HEAD_DIM, BLOCK_D)
dv_at, there = gradient_landing(dv_ptr, batch, kv_head, heads // group, Nk, rows, HEAD_DIM, BLOCK_K, SPLIT)
store_gradient(dv_at, there, dv, live, ADD, HEAD_DIM, BLOCK_D)
"""

# In orders with digits.
TILED_KEY_HEAD = KEY_HEAD.replace("b < count", EXISTS.format("c"))
TILED_QUERIES_MASKED, TILED_QUERIES_FULL = (
    (SHARE + HEADS.format(place="i").rstrip() + _load(body, "False")).replace(
        "begin, tl.minimum(end, there), q_n", f"0, {LAST_ROW.format('there')}, q_n"
    )
    for body in (_KEPT_QUERIES.replace("{mask}", _QUERY_MASK), _ALL_QUERIES)
)
