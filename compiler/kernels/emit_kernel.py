"""The text of one kernel. A kernel is its head, the loops of its sweeps, and its end.

A stationary block of one side stays in registers while blocks of the other side are swept. Blocks are parts of tiles
(BLOCK_Q divides tile.query, BLOCK_K divides tile.key), so that the tiles of a program say what is touched, and the
launch what fits the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..passes.program import NATURAL, Kernel, Order, Program, Range
from ..relations.integer import Expr
from .emit_diagonal import key_diagonals, query_diagonals
from .launch import Role

# Lengths are not specialised: no new binary for a new length.
_LENGTHS = '["heads", "group", "Nq", "Nk", "query_offset", "owner", "split_lo", "split_hi"]'
_SIZES = "heads, group, Nq, Nk, query_offset, scale, owner, split_lo, split_hi,"
_CONSTANTS = (
    "HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,",
    "PRECISION: tl.constexpr, PACKED: tl.constexpr, SOFTCAP: tl.constexpr,",
    "PACK: tl.constexpr, SPLIT: tl.constexpr, ADD: tl.constexpr,",
)
_ARGUMENTS: dict[Role, tuple[str, tuple[str, ...]]] = {
    "forward": ("q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr", ("q", "k", "v", "o")),
    "backward_query": ("q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dq_ptr", ("q", "k", "v", "do")),
    "backward_key": ("q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr", ("q", "k", "v", "do")),
}
_STEP = "score_scale, SOFTCAP{}"
_PRODUCTS = ", PRECISION"
"""The last argument of a step that multiplies matrices."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One range of a sweep and what the names of its bound functions have in common."""

    range: Range
    name: str

    def functions(self) -> Iterator[tuple[str, str, Expr]]:
        """The bound functions: name, further parameters, value."""
        step = "d, " if self.range.fan else ""
        yield self.name.format("lo"), step, self.range.lo
        yield self.name.format("hi"), step, self.range.hi
        if self.range.fan:
            yield self.name.format("first"), "", self.range.fan.first
            yield self.name.format("last"), "", self.range.fan.last

    def call(self, end: str, still: str, lengths: str) -> str:
        """The value of a bound function, in a kernel."""
        step = "d, " if self.range.fan and end in ("lo", "hi") else ""
        return f"{self.name.format(end)}({still}, c, {step}T, {lengths})"

    def mask(self, call: str) -> str:
        """What of a diagonal the mask keeps, before what exists."""
        return f"keep{call} & " if self.range.masked else ""

    def each_step(self, still: str, lengths: str, body: Iterable[str]) -> Iterator[str]:
        """The body of the range, once for each step of its fan."""
        if self.range.fan is None:
            yield from body
            return
        first, last = (self.call(end, still, lengths) for end in ("first", "last"))
        yield f"for d in range({first}, {last}):"
        yield from (f"    {row}" for row in body)


def loops(side: str, kernels: tuple[Kernel, ...], at_kernel: int, at_sweep: int) -> Iterator[Loop]:
    """The loops of a sweep. Bounds are named after their term, and numbered where there are several."""
    sweep = kernels[at_kernel].sweeps[at_sweep]
    visits = sum(other.term == sweep.term for kernel in kernels for other in kernel.sweeps)
    prefix = f"term{sweep.term}" + ("_query" if side == "backward" else "")
    prefix += "" if visits == 1 else f"_{at_kernel}_{at_sweep}"
    for index, item in enumerate(sweep.ranges):
        suffix = str(index) if len(sweep.ranges) > 1 else ""
        yield Loop(item, f"{prefix}_{{}}{suffix}")


def one_line(text: str) -> str:
    """Source text as it can stand in a comment or docstring."""
    return " ".join(text.split()).replace("\\", "/").replace('"', "'")


def describe(order: Order) -> str:
    """An order in words."""
    if order == NATURAL:
        return "natural"
    if order.count == 1 and order.period == order.classes and order.start == 0:
        return f"by residue mod {order.period}"
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
        start = "acc, m, z = resume(out_at, lse_at, there, o_n, o_d, live, HEAD_DIM, BLOCK_D)"
    body = [
        *_stationary_query(program, kernel.order),
        "out_at, lse_at, there = landing(out_ptr, lse_ptr, batch, head, rows, heads, Nq, o_b, o_h, BLOCK_Q, SPLIT)",
        start,
        "score_scale = scale * LOG2_E",
        *_swept_keys(program, index, f"acc, m, z = attend_{{}}(acc, m, z, q, k, v,{{}} {_STEP})"),
        "",
        "finish(acc, m, z, out_at, lse_at, there, o_n, o_d, live, HEAD_DIM, BLOCK_D)",
    ]
    return _kernel("forward", index, kernel.order, body)


def backward_query(program: Program, index: int) -> str:
    """The kernel that adds to the gradient of q over the keys of ``program.forward[index]``."""
    kernel = program.forward[index]
    body = [
        *_stationary_query(program, kernel.order),
        "do = load_rows(matrix(do_ptr, batch, head, do_b, do_h), rows, do_n, do_d, live, HEAD_DIM, BLOCK_D)",
        "lse = load_lse(vector(lse_ptr, batch, head, heads, Nq), rows, live)",
        "delta = tl.load(vector(delta_ptr, batch, head, heads, Nq) + rows, mask=live, other=0.0)",
        "dq = tl.zeros([BLOCK_Q, BLOCK_D], dtype=tl.float32)",
        "score_scale = scale * LOG2_E",
        *_swept_keys(program, index, f"dq = query_gradient_{{}}(dq, q, k, v, do, lse, delta,{{}} {_STEP})"),
        "",
        "dq_at = vector(dq_ptr, batch, head, heads, Nq.to(tl.int64) * HEAD_DIM)",
        f"store_gradient(dq_at, rows, dq * scale, live, {index > 0}, HEAD_DIM, BLOCK_D)",
    ]
    return _kernel("backward_query", index, kernel.order, body)


def backward_key(program: Program, index: int) -> str:
    """The kernel that stores, or (ADD) adds to, the gradients of k and v over the queries of
    ``program.backward[index]``, for all query heads of a group."""
    order = program.backward[index].order
    body = [
        f"batch, kv_head, first, {program.lengths[-1]} = sequence(spans_ptr, heads // group, Nk, PACKED)",
        *(["nq = Nq"] if program.cross else []),
        f"c, block, count = key_block({program.lengths[-1]}, {_constants(order)}, {order.classes}, BLOCK_K)",
        "if block < 0:",
        "    return",
        f"J = block // ({program.tile.key} // BLOCK_K)",
        "b = block * BLOCK_K + tl.arange(0, BLOCK_K)",
        f"live = {_exist(order, 'c')}",
        f"rows = token(c, b, {_constants(order)}) + first",
        "k = load_rows(matrix(k_ptr, batch, kv_head, k_b, k_h), rows, k_n, k_d, live, HEAD_DIM, BLOCK_D)",
        "v = load_rows(matrix(v_ptr, batch, kv_head, v_b, v_h), rows, v_n, v_d, live, HEAD_DIM, BLOCK_D)",
        "dk = tl.zeros([BLOCK_K, BLOCK_D], dtype=tl.float32)",
        "dv = tl.zeros([BLOCK_K, BLOCK_D], dtype=tl.float32)",
        "score_scale = scale * LOG2_E",
        "for member in range(group):",
        "    head = kv_head * group + member",
        "    q_at = matrix(q_ptr, batch, head, q_b, q_h)",
        "    do_at = matrix(do_ptr, batch, head, do_b, do_h)",
        "    lse_at = vector(lse_ptr, batch, head, heads, Nq)",
        "    delta_at = vector(delta_ptr, batch, head, heads, Nq)",
        f"    there = owned({program.lengths[0]}, owner_ptr, owner, head)",
        *(f"    {row}" if row else "" for row in _swept_queries(program, index)),
        "",
        "dk_at = vector(dk_ptr, batch, kv_head, heads // group, Nk.to(tl.int64) * HEAD_DIM)",
        "dv_at = vector(dv_ptr, batch, kv_head, heads // group, Nk.to(tl.int64) * HEAD_DIM)",
        "store_gradient(dk_at, rows, dk * scale, live, ADD, HEAD_DIM, BLOCK_D)",
        "store_gradient(dv_at, rows, dv, live, ADD, HEAD_DIM, BLOCK_D)",
    ]
    return _kernel("backward_key", index, order, body)


def _kernel(role: Role, index: int, order: Order, body: Iterable[str]) -> str:
    return function(role, index, [f"# stationary: {describe(order)}", *body])


def function(role: Role, index: int, body: Iterable[str]) -> str:
    """A kernel of a role, with the arguments that all of them take."""
    pointers, tensors = _ARGUMENTS[role]
    rows = [f"{pointers}, spans_ptr, owner_ptr,", *_strides(*tensors), _SIZES, *_CONSTANTS]
    head = [f"@triton.jit(do_not_specialize={_LENGTHS})", f"def {role}_{index}(", *(f"    {row}" for row in rows), "):"]
    return "\n".join(head + [f"    {row}" if row else "" for row in body])


def _constants(order: Order) -> str:
    return f"{order.period}, {order.digits or order.count}, {order.start}"


def _exist(order: Order, cls: str) -> str:
    """Which keys exist."""
    return f"exists({cls}, b, n, {_constants(order)})" if order.tiled else "b < count"


def _strides(*names: str) -> list[str]:
    return [" ".join(f"{name}_{axis}," for axis in "bhnd") for name in names]


def _stationary_query(program: Program, order: Order) -> list[str]:
    constants, tile = _constants(order), program.tile.query
    queries, keys = program.lengths[0], program.lengths[-1]
    # The queries of a cross pattern are a sequence of their own, which starts at row 0 of q.
    start, place = (
        ("0 * nq, nq, 0 * nq", "") if program.cross else ("first, n, query_offset", " + first - query_offset")
    )
    held = "Nq" if program.cross else "n"
    window = f"{start}, Nq, split_lo, split_hi, {constants}, {order.classes}, {tile}"
    return [
        f"batch, bundle, first, {keys} = sequence(spans_ptr, bundles(heads, group, PACK), Nk, PACKED)",
        f"{queries} = owned({held}, owner_ptr, owner, bundle if PACK == 1 else bundle * group)",
        "c, block, begin, end = query_block(",
        f"    {window}, BLOCK_Q // PACK, SPLIT",
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


def _swept_keys(program: Program, index: int, step: str) -> Iterator[str]:
    """The loops over key blocks, for a stationary query block."""
    tile, lengths = program.tile.key, ", ".join(program.lengths)
    for at_sweep, sweep in enumerate(program.forward[index].sweeps):
        term = program.terms[sweep.term]
        key, classes = _constants(term.key), term.key.classes
        end = "n" if term.key.tiled else "count"
        load = f"k, v = load_keys(k_at, v_at, {{}}, kc, first, {end}, k_n, k_d, v_n, v_d, {key},"
        load += " HEAD_DIM, BLOCK_D, BLOCK_K, {})"
        yield from ("", f"# term {sweep.term}, line {term.line}: {one_line(term.label)}")
        yield "kc = c" if classes == 1 else f"kc = (c + {term.shift % classes}) % {classes}"
        yield f"count = ranks(kc, {program.lengths[-1]}, {key})"
        yield f"T = tl.cdiv(count, {tile})"
        for loop in loops("forward", program.forward, index, at_sweep):
            if loop.range.diagonal:
                lo, hi = (loop.call(end, "I", lengths) for end in ("lo", "hi"))
                body = key_diagonals(lo, hi, loop.mask(f"{sweep.term}(c, a, b, {lengths})"), step)
                yield from loop.each_step("I", lengths, body)
                continue
            yield from loop.each_step("I", lengths, _key_blocks(loop, tile, sweep.term, term.key, load, step, lengths))


def _key_blocks(loop: Loop, tile: int, term: int, order: Order, load: str, step: str, lengths: str) -> Iterator[str]:
    """The key blocks of one range."""
    exist = _exist(order, "kc") if order.tiled else f"({_exist(order, 'kc')})"
    yield f"lo = tl.maximum({loop.call('lo', 'I', lengths)}, 0) * ({tile} // BLOCK_K)"
    yield f"hi = tl.minimum({loop.call('hi', 'I', lengths)} * ({tile} // BLOCK_K), tl.cdiv(count, BLOCK_K))"
    yield "lo, hi = share(lo, hi, SPLIT)"
    if loop.range.masked:
        yield "for j in range(lo, hi):"
        yield "    b = j * BLOCK_K + tl.arange(0, BLOCK_K)"
        yield f"    keep = keep{term}(c, a[:, None], b[None, :], {lengths}) & {exist}[None, :]"
        yield f"    {load.format('j', False)}"
        yield f"    {step.format('kept', ' keep,', _PRODUCTS)}"
    elif order.tiled:
        # Every pair of ranks is kept, but ranks of the last period need not exist: its blocks are taken apart.
        yield f"whole = complete(kc, n, {_constants(order)}) // BLOCK_K"
        yield "for j in range(lo, tl.minimum(hi, whole)):"
        yield f"    {load.format('j', True)}"
        yield f"    {step.format('full', '', _PRODUCTS)}"
        yield "for j in range(tl.maximum(lo, whole), hi):"
        yield "    b = j * BLOCK_K + tl.arange(0, BLOCK_K)"
        yield f"    {load.format('j', False)}"
        yield f"    {step.format('kept', f' {exist}[None, :],', _PRODUCTS)}"
    else:
        # Every pair of ranks is kept, but ranks of the ragged last block need not exist: it is taken apart.
        yield "whole = count // BLOCK_K"
        yield "for j in range(lo, tl.minimum(hi, whole)):"
        yield f"    {load.format('j', True)}"
        yield f"    {step.format('full', '', _PRODUCTS)}"
        yield "if (lo <= whole) & (whole < hi):"
        yield f"    {load.format('whole', False)}"
        yield f"    {step.format('kept', ' present(whole, count, BLOCK_K)[None, :],', _PRODUCTS)}"


def _swept_queries(program: Program, index: int) -> Iterator[str]:
    """The loops over query blocks, for a stationary key block. Query ranks without a row need no mask: their q and dO
    are loaded as 0 and their lse as +inf."""
    tile, lengths = program.tile.query, ", ".join(program.lengths)
    start, offset, place = (
        ("0 * nq", "0 * nq", "0 * nq") if program.cross else ("first", "query_offset", "first - query_offset")
    )
    for at_sweep, sweep in enumerate(program.backward[index].sweeps):
        term = program.terms[sweep.term]
        query, classes = _constants(term.query), term.query.classes
        yield from ("", f"# term {sweep.term}, line {term.line}: {one_line(term.label)}")
        yield "qc = c" if classes == 1 else f"qc = (c + {-term.shift % classes}) % {classes}"
        yield f"T = tl.cdiv(ranks(qc, {program.lengths[0]}, {query}), {tile})"
        yield f"begin, end = query_window(qc, {start}, there, {offset}, Nq, {query})"
        for loop in loops("backward", program.backward, index, at_sweep):
            if loop.range.diagonal:
                lo, hi = (loop.call(end, "J", lengths) for end in ("lo", "hi"))
                body = query_diagonals(lo, hi, loop.mask(f"{sweep.term}(qc, a, b, {lengths})"), place)
                yield from loop.each_step("J", lengths, body)
                continue
            yield from loop.each_step("J", lengths, _query_blocks(loop, tile, sweep.term, term.query, place, lengths))


def _query_blocks(loop: Loop, tile: int, term: int, order: Order, place: str, lengths: str) -> Iterator[str]:
    """The query blocks of one range."""
    kind, keep = ("kept", " keep,") if loop.range.masked else ("full", "")
    ends = "0, tl.minimum(Nq, first + there - query_offset)" if order.tiled else "begin, end"
    yield f"lo = tl.maximum({loop.call('lo', 'J', lengths)} * ({tile} // BLOCK_Q), begin // BLOCK_Q)"
    yield f"hi = tl.minimum({loop.call('hi', 'J', lengths)} * ({tile} // BLOCK_Q), tl.cdiv(end, BLOCK_Q))"
    yield "for i in range(lo, hi):"
    if loop.range.masked:
        yield "    a = i * BLOCK_Q + tl.arange(0, BLOCK_Q)"
        yield f"    keep = keep{term}(qc, a[None, :], b[:, None], {lengths})"
    yield "    q, do, lse, delta = load_queries("
    yield f"        q_at, do_at, lse_at, delta_at, i, qc, {place}, {ends},"
    yield f"        q_n, q_d, do_n, do_d, {_constants(order)}, HEAD_DIM, BLOCK_D, BLOCK_Q,"
    yield "    )"
    yield f"    dk, dv = key_gradient_{kind}(dk, dv, q, k, v, do, lse, delta,{keep} {_STEP.format(_PRODUCTS)})"
