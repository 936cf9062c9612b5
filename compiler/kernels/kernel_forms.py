"""The statements of which kernels consist, as read expects them. A ``HOLE_`` is what a kernel may choose.

Written apart from emit: that both say the same is what reading proves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import indent

PARAMETERS = """
    {pointers}, {strides}, heads, group, Nq, Nk, query_offset, scale, owner, split_lo, split_hi, turn,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr, PACKED: tl.constexpr, SOFTCAP: tl.constexpr, PACK: tl.constexpr, SPLIT: tl.constexpr,
    ADD: tl.constexpr, ALONE: tl.constexpr
"""
_LENGTHS = ["heads", "group", "Nq", "Nk", "query_offset", "owner", "split_lo", "split_hi", "turn"]
DECORATOR = f"triton.jit(do_not_specialize={_LENGTHS})"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Which lengths a kernel speaks of, and where its queries stand. The forms below name these in <CAPITALS>."""

    names: tuple[str, ...]
    queries: str  # how many there are, as an argument says it
    also: str
    first: str  # physical row of query position 0
    offset: str
    row: str
    first_row: str

    def write(self, form: str) -> str:
        """The form with these lengths."""
        words = {"LENGTHS": ", ".join(self.names), "QUERIES": self.names[0], "KEYS": self.names[-1]}
        words |= {"COUNT": self.queries, "ALSO": self.also, "FIRST": self.first, "OFFSET": self.offset}
        words |= {"ROW": self.row, "FIRST_ROW": self.first_row}
        return re.sub(r"<([A-Z_]+)>", lambda found: words[found.group(1)], form)


_PLACE = "token(c, a, HOLE_period, HOLE_count, HOLE_start)"
SELF = Lengths(("n",), "n", "", "first", "query_offset", f"{_PLACE} + first - query_offset", "first - query_offset")
CROSS = Lengths(("nq", "nk"), "Nq", "nq = Nq", "0 * nq", "0 * nq", _PLACE, "0 * nq")

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
RANGES = """
for r in range(0, HOLE_ranges):
    pass
"""
TURN = "r, "
FAN = """
for d in range(HOLE_first({turn}{still}, c, T, <LENGTHS>), HOLE_last({turn}{still}, c, T, <LENGTHS>)):
    pass
"""
STEP = "d, "
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
_SHARE = "lo, hi = share(lo, hi, SPLIT)"
_WHOLE_QUERIES = f"""{_SHARE}
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
""".replace("{share}", _SHARE).replace("{heads}", HEADS.format(place="x").rstrip())
QUERY_MASK = "HOLE_keep(qc, a, b, <LENGTHS>) & "
KEY_END = """
dk_at, there = gradient_landing(dk_ptr, batch, kv_head, heads // group, Nk, rows, HEAD_DIM, BLOCK_K, SPLIT)
store_gradient(dk_at, there, dk * scale, live, ADD, HEAD_DIM, BLOCK_D)
dv_at, there = gradient_landing(dv_ptr, batch, kv_head, heads // group, Nk, rows, HEAD_DIM, BLOCK_K, SPLIT)
store_gradient(dv_at, there, dv, live, ADD, HEAD_DIM, BLOCK_D)
"""


# In orders with digits existence is asked of tokens: below n, and within the rows of q.
_EXISTS = "exists({}, b, n, HOLE_period, HOLE_count, HOLE_start)"
_LAST_ROW = "tl.minimum(Nq, first + {} - query_offset)"
TILED_QUERY_HEAD = QUERY_HEAD.replace(
    "rows = <ROW>\n", f"rows = <ROW>\nlive = live & (rows >= 0) & (rows < {_LAST_ROW.format('n')})\n"
)
TILED_KEY_HEAD = KEY_HEAD.replace("b < count", _EXISTS.format("c"))
TILED_LOAD = LOAD.replace("first, count,", "first, n,")
TILED_KEYS_MASKED = f"""
lo, hi = share(lo, hi, SPLIT)
for j in range(lo, hi):
    b = j * BLOCK_K + tl.arange(0, BLOCK_K)
    keep = HOLE_keep(c, a[:, None], b[None, :], <LENGTHS>) & {_EXISTS.format("kc")}[None, :]
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
TILED_STEP_LAST = f"{_EXISTS.format('kc')}[None, :], "
TILED_QUERIES_MASKED, TILED_QUERIES_FULL = (
    (_SHARE + HEADS.format(place="i").rstrip() + _load(body, "False")).replace(
        "begin, tl.minimum(end, there), q_n", f"0, {_LAST_ROW.format('there')}, q_n"
    )
    for body in (_KEPT_QUERIES.replace("{mask}", _QUERY_MASK), _ALL_QUERIES)
)
