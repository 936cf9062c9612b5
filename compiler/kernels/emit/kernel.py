"""The text of one kernel. A kernel is its head, the loops of its sweeps, and its end.

A stationary block of one side stays in registers while blocks of the other side are swept. Blocks are parts of tiles
(BLOCK_Q divides tile.query, BLOCK_K divides tile.key), so that the tiles of a program say what is touched, and the
launch what fits the machine.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...passes.order import ALONE
from ...passes.program import NATURAL, Kernel, Order, Program
from ..launch import Role
from .key_sweeps import swept_keys
from .query_sweeps import swept_queries
from .sweeps import STEP, constants_of, exist_of
from .table import POINTERS, listed_keys, listed_queries

# Lengths are not specialised: no new binary for a new length.
_LENGTHS = '["heads", "group", "Nq", "Nk", "query_offset", "owner", "split_lo", "split_hi", "turn"]'
_SIZES = "heads, group, Nq, Nk, query_offset, scale, owner, split_lo, split_hi, turn,"
_CONSTANTS = (
    "HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,",
    "PRECISION: tl.constexpr, PACKED: tl.constexpr, SOFTCAP: tl.constexpr,",
    "PACK: tl.constexpr, SPLIT: tl.constexpr, ADD: tl.constexpr, ALONE: tl.constexpr,",
)
_ARGUMENTS: dict[Role, tuple[str, tuple[str, ...]]] = {
    "forward": ("q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr", ("q", "k", "v", "o")),
    "backward_query": (
        "q_ptr, k_ptr, v_ptr, do_ptr, out_ptr, final_ptr, lse_ptr, delta_ptr, dq_ptr",
        ("q", "k", "v", "do", "o"),
    ),
    "backward_key": ("q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr", ("q", "k", "v", "do")),
}


def describe(order: Order) -> str:
    """An order in words."""
    if order == NATURAL:
        return "natural"
    if order.count == 1 and order.period == order.classes and order.start == 0:
        return f"by residue mod {order.period}"
    if order.period == ALONE:
        return f"{order.start}..{order.start + order.count - 1} alone"
    if order.tiled:
        digits = ", ".join(f"{extent} x {stride}" for extent, stride in order.digits)
        return f"in boxes, {order.count} of every {order.period} from {order.start}: {digits}"
    text = f"packed, {order.count} of every {order.period} from {order.start}"
    return text if order.classes == 1 else f"{text}, {order.classes} classes"


def forward(program: Program, index: int) -> str:
    """The kernel that takes the keys of ``program.forward[index]`` into (out, lse)."""
    kernel = program.forward[index]
    start = "acc, m, z = fresh(BLOCK_Q, BLOCK_D)"
    if index > 0:
        start = "acc, m, z = resume(out_at, lse_at, there, o_n, o_d, live, HEAD_DIM, BLOCK_D, BLOCK_Q, SPLIT)"
    step = f"acc, m, z = attend_{{}}(acc, m, z, q, k, v,{{}} {STEP})"
    body = [
        *_stationary_query(program, kernel),
        "out_at, lse_at, there = landing(out_ptr, lse_ptr, batch, head, rows, heads, Nq, o_b, o_h, BLOCK_Q, SPLIT)",
        start,
        "score_scale = scale * LOG2_E",
        *(listed_keys(program, step) if _has_table(program, index) else []),
        *swept_keys(program, index, step),
        "",
        "finish(acc, m, z, out_at, lse_at, there, o_n, o_d, live, HEAD_DIM, BLOCK_D)",
    ]
    return _kernel(program, "forward", index, kernel.order, body)


def backward_query(program: Program, index: int) -> str:
    """The kernel that stores, or (ADD) adds to, the gradient of q over the keys of ``program.forward[index]``."""
    kernel, step = program.forward[index], f"dq = query_gradient_{{}}(dq, q, k, v, do, lse, delta,{{}} {STEP})"
    body = [
        *_stationary_query(program, kernel),
        "do = load_rows(matrix(do_ptr, batch, head, do_b, do_h), rows, do_n, do_d, live, HEAD_DIM, BLOCK_D)",
        "lse, delta = row_numbers(",
        "    do, out_ptr, final_ptr, lse_ptr, delta_ptr, batch, head, heads, Nq, rows, live, o_b, o_h, o_n, o_d,",
        "    HEAD_DIM, BLOCK_D,",
        ")",
        "dq = tl.zeros([BLOCK_Q, BLOCK_D], dtype=tl.float32)",
        "score_scale = scale * LOG2_E",
        *(listed_keys(program, step) if _has_table(program, index) else []),
        *swept_keys(program, index, step),
        "",
        "dq_at, there = gradient_landing(dq_ptr, batch, head, heads, Nq, rows, HEAD_DIM, BLOCK_Q, SPLIT)",
        "store_gradient(dq_at, there, dq * scale, live, ADD, HEAD_DIM, BLOCK_D)",
    ]
    return _kernel(program, "backward_query", index, kernel.order, body)


def backward_key(program: Program, index: int) -> str:
    """The kernel that stores, or (ADD) adds to, the gradients of k and v over the queries of
    ``program.backward[index]``, for all query heads of a group."""
    order, held = program.backward[index].order, program.keys_held(program.backward[index])
    split = f"split_lo, split_hi, {constants_of(order)}, {order.classes}, {held}, BLOCK_K, SPLIT, turn"
    body = [
        f"batch, kv_head, first, {program.lengths[-1]} = sequence(spans_ptr, heads // group, Nk, PACKED, turn)",
        *(["nq = Nq"] if program.cross else []),
        "c, block, count = key_block(",
        f"    {program.lengths[-1]}, {split}",
        ")",
        "if block < 0:",
        "    return",
        f"J = block // ({held} // BLOCK_K)",
        "b = block * BLOCK_K + tl.arange(0, BLOCK_K)",
        f"live = {exist_of(order, 'c')}",
        f"rows = token(c, b, {constants_of(order)}) + first",
        "k = load_rows(matrix(k_ptr, batch, kv_head, k_b, k_h), rows, k_n, k_d, live, HEAD_DIM, BLOCK_D)",
        "v = load_rows(matrix(v_ptr, batch, kv_head, v_b, v_h), rows, v_n, v_d, live, HEAD_DIM, BLOCK_D)",
        "dk = tl.zeros([BLOCK_K, BLOCK_D], dtype=tl.float32)",
        "dv = tl.zeros([BLOCK_K, BLOCK_D], dtype=tl.float32)",
        "score_scale = scale * LOG2_E",
        *(listed_queries(program) if _has_table(program, index) else []),
        *swept_queries(program, index),
        "",
        "dk_at, there = gradient_landing(dk_ptr, batch, kv_head, heads // group, Nk, rows, HEAD_DIM, BLOCK_K, SPLIT)",
        "store_gradient(dk_at, there, dk * scale, live, ADD, HEAD_DIM, BLOCK_D)",
        "dv_at, there = gradient_landing(dv_ptr, batch, kv_head, heads // group, Nk, rows, HEAD_DIM, BLOCK_K, SPLIT)",
        "store_gradient(dv_at, there, dv, live, ADD, HEAD_DIM, BLOCK_D)",
    ]
    return _kernel(program, "backward_key", index, order, body)


def _has_table(program: Program, index: int) -> bool:
    """Whether a kernel takes the lists of a call too."""
    return program.table > 0 and index == 0


def _kernel(program: Program, role: Role, index: int, order: Order, body: Iterable[str]) -> str:
    more = f" {POINTERS}," if _has_table(program, index) else ""
    return function(role, index, [f"# stationary: {describe(order)}", *body], more)


def function(role: Role, index: int, body: Iterable[str], more: str = "") -> str:
    """A kernel of a role, with the arguments that all of them take, and ``more``."""
    pointers, tensors = _ARGUMENTS[role]
    rows = [f"{pointers}, spans_ptr, owner_ptr,{more}", *_strides(*tensors), _SIZES, *_CONSTANTS]
    head = [f"@triton.jit(do_not_specialize={_LENGTHS})", f"def {role}_{index}(", *(f"    {row}" for row in rows), "):"]
    return "\n".join(head + [f"    {row}" if row else "" for row in body])


def _strides(*names: str) -> list[str]:
    return [" ".join(f"{name}_{axis}," for axis in "bhnd") for name in names]


def _stationary_query(program: Program, kernel: Kernel) -> list[str]:
    order, tile = kernel.order, program.queries_held(kernel)
    constants = constants_of(order)
    queries, keys = program.lengths[0], program.lengths[-1]
    # The queries of a cross pattern are a sequence of their own, which starts at row 0 of q.
    start, place = (
        ("0 * nq, nq, 0 * nq", "") if program.cross else ("first, n, query_offset", " + first - query_offset")
    )
    held = "Nq" if program.cross else "n"
    window = f"{start}, Nq, split_lo, split_hi, {constants}, {order.classes}, {tile}"
    return [
        f"batch, bundle, first, {keys} = sequence(spans_ptr, bundles(heads, group, PACK), Nk, PACKED, turn)",
        f"{queries} = owned({held}, owner_ptr, owner, bundle if PACK == 1 else bundle * group)",
        "c, block, begin, end = query_block(",
        f"    {window}, BLOCK_Q // PACK, SPLIT, turn",
        ")",
        "if block < 0:",
        "    return",
        f"I = block // ({tile} // (BLOCK_Q // PACK))",
        "a, live = query_lanes(block, begin, end, group, BLOCK_Q, PACK)",
        "head, kv_head = query_head(bundle, group, BLOCK_Q, PACK), key_head(bundle, group, PACK)",
        f"rows = token(c, a, {constants}){place}",
        # The window of an order with digits is wider than q: what has a row there is asked of each rank.
        *(["live = live & (rows >= 0) & (rows < tl.minimum(Nq, first + n - query_offset))"] if order.tiled else []),
        "q = load_rows(matrix(q_ptr, batch, head, q_b, q_h), rows, q_n, q_d, live, HEAD_DIM, BLOCK_D)",
        "k_at = matrix(k_ptr, batch, kv_head, k_b, k_h)",
        "v_at = matrix(v_ptr, batch, kv_head, v_b, v_h)",
    ]
