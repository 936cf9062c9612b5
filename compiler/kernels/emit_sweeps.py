"""The text of the loops of a kernel: blocks of the side that is swept, or diagonals.

Bound functions of ranges are named after their term; what a loop does with a block is a step of the fixed library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..passes.program import Kernel, Order, Program, Range
from ..relations.integer import Expr
from .emit_diagonal import key_diagonals, query_diagonals
from .spell import one_line

STEP = "score_scale, SOFTCAP{}"
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


def constants_of(order: Order) -> str:
    return f"{order.period}, {order.digits or order.count}, {order.start}"


def exist_of(order: Order, cls: str) -> str:
    """Which keys exist."""
    return f"exists({cls}, b, n, {constants_of(order)})" if order.tiled else "b < count"


def swept_keys(program: Program, index: int, step: str) -> Iterator[str]:
    """The loops over key blocks, for a stationary query block."""
    lengths = ", ".join(program.lengths)
    for at_sweep, sweep in enumerate(program.forward[index].sweeps):
        term, tile = program.terms[sweep.term], program.tile_of(sweep).key
        block = _block(tile, program.tile.key, "BLOCK_K")
        key, classes = constants_of(term.key), term.key.classes
        end = "n" if term.key.tiled else "count"
        load = f"k, v = load_keys(k_at, v_at, {{}}, kc, first, {end}, k_n, k_d, v_n, v_d, {key},"
        load += f" HEAD_DIM, BLOCK_D, {block}, {{}})"
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
            body = _key_blocks(loop, tile, block, sweep.term, term.key, load, step, lengths)
            yield from loop.each_step("I", lengths, body)


def _block(tile: int, widest: int, block: str) -> str:
    """The ranks of a block that is swept: those of the launch; a narrow tile is taken whole."""
    return block if tile == widest else str(tile)


def _key_blocks(
    loop: Loop, tile: int, block: str, term: int, order: Order, load: str, step: str, lengths: str
) -> Iterator[str]:
    """The key blocks of one range."""
    exist = exist_of(order, "kc") if order.tiled else f"({exist_of(order, 'kc')})"
    yield f"lo = tl.maximum({loop.call('lo', 'I', lengths)}, 0) * ({tile} // {block})"
    yield f"hi = tl.minimum({loop.call('hi', 'I', lengths)} * ({tile} // {block}), tl.cdiv(count, {block}))"
    yield "lo, hi = share(lo, hi, SPLIT)"
    keep = f"keep{term}(c, a[:, None], b[None, :], {lengths})"
    if loop.range.masked and order.tiled:
        yield "for j in range(lo, hi):"
        yield f"    b = j * {block} + tl.arange(0, {block})"
        yield f"    keep = {keep} & {exist}[None, :]"
        yield f"    {load.format('j', False)}"
        yield f"    {step.format('kept', ' keep,', _PRODUCTS)}"
    elif loop.range.masked:
        # Ranks of the ragged last block need not exist: it is taken apart, and the others load without a mask.
        yield f"whole = count // {block}"
        yield "for j in range(lo, tl.minimum(hi, whole)):"
        yield f"    b = j * {block} + tl.arange(0, {block})"
        yield f"    keep = {keep}"
        yield f"    {load.format('j', True)}"
        yield f"    {step.format('kept', ' keep,', _PRODUCTS)}"
        yield "if (lo <= whole) & (whole < hi):"
        yield f"    b = whole * {block} + tl.arange(0, {block})"
        yield f"    keep = {keep} & {exist}[None, :]"
        yield f"    {load.format('whole', False)}"
        yield f"    {step.format('kept', ' keep,', _PRODUCTS)}"
    elif order.tiled:
        # Every pair of ranks is kept, but ranks of the last period need not exist: its blocks are taken apart.
        yield f"whole = complete(kc, n, {constants_of(order)}) // {block}"
        yield "for j in range(lo, tl.minimum(hi, whole)):"
        yield f"    {load.format('j', True)}"
        yield f"    {step.format('full', '', _PRODUCTS)}"
        yield "for j in range(tl.maximum(lo, whole), hi):"
        yield f"    b = j * {block} + tl.arange(0, {block})"
        yield f"    {load.format('j', False)}"
        yield f"    {step.format('kept', f' {exist}[None, :],', _PRODUCTS)}"
    else:
        # Every pair of ranks is kept, but ranks of the ragged last block need not exist: it is taken apart.
        yield f"whole = count // {block}"
        yield "for j in range(lo, tl.minimum(hi, whole)):"
        yield f"    {load.format('j', True)}"
        yield f"    {step.format('full', '', _PRODUCTS)}"
        yield "if (lo <= whole) & (whole < hi):"
        yield f"    {load.format('whole', False)}"
        yield f"    {step.format('kept', f' present(whole, count, {block})[None, :],', _PRODUCTS)}"


def swept_queries(program: Program, index: int) -> Iterator[str]:
    """The loops over query blocks, for a stationary key block. Each runs over the query heads of the group too: nested
    in a loop over these, all that is the same for them would be kept in registers. Query ranks without a row need no
    mask: their q and dO are loaded as 0."""
    lengths = ", ".join(program.lengths)
    start, offset, place = (
        ("0 * nq", "0 * nq", "0 * nq") if program.cross else ("first", "query_offset", "first - query_offset")
    )
    for at_sweep, sweep in enumerate(program.backward[index].sweeps):
        term, tile = program.terms[sweep.term], program.tile_of(sweep).query
        block = _block(tile, program.tile.query, "BLOCK_Q")
        query, classes = constants_of(term.query), term.query.classes
        yield from ("", f"# term {sweep.term}, line {term.line}: {one_line(term.label)}")
        yield "qc = c" if classes == 1 else f"qc = (c + {-term.shift % classes}) % {classes}"
        yield f"T = tl.cdiv(ranks(qc, {program.lengths[0]}, {query}), {tile})"
        yield f"begin, end = query_window(qc, {start}, {program.lengths[0]}, {offset}, Nq, {query})"
        for loop in loops("backward", program.backward, index, at_sweep):
            if loop.range.diagonal:
                lo, hi = (loop.call(end, "J", lengths) for end in ("lo", "hi"))
                head = _query_head("x", program.lengths[0])
                body = query_diagonals(lo, hi, head, loop.mask(f"{sweep.term}(qc, a, b, {lengths})"), place)
                yield from loop.each_step("J", lengths, body)
                continue
            body = _query_blocks(loop, tile, block, sweep.term, term.query, place, program.lengths)
            yield from loop.each_step("J", lengths, body)


def _query_head(place: str, queries: str) -> tuple[str, ...]:
    """The head of a loop that takes the places lo..hi-1 of the first query head of a group, then of the next; without
    a division where a group has but one (ALONE)."""
    return (
        "size = tl.maximum(hi - lo, 0)",
        "for turn in range(lo, lo + group * size):",
        "    head = kv_head if ALONE else kv_head * group + (turn - lo) // size",
        f"    {place} = turn if ALONE else lo + (turn - lo) % size",
        *_head_of_group(queries),
    )


def _whole_head(block: str, queries: str) -> tuple[str, ...]:
    """The head of such a loop over the blocks of which every rank has a row."""
    return (
        f"low, high = whole_blocks(lo, hi, begin, end, owner_ptr, {block})",
        "size = high - low",
        "for turn in range(low, low + group * size):",
        "    head = kv_head if ALONE else kv_head * group + (turn - low) // size",
        "    i = turn if ALONE else low + (turn - low) % size",
        *_head_of_group(queries),
    )


def _ragged_head(queries: str) -> tuple[str, ...]:
    """The head of the loop over the others, which follows: a few, so that it is no pipeline."""
    return (
        "size = tl.maximum(hi - lo, 0) - size",
        "for turn in tl.range(0, group * size, num_stages=1):",
        "    head = kv_head if ALONE else kv_head * group + turn // size",
        "    i = ragged_block(turn if ALONE else turn % size, lo, low, high)",
        *_head_of_group(queries),
    )


def _head_of_group(queries: str) -> tuple[str, ...]:
    return (
        "    q_at, do_at = matrix(q_ptr, batch, head, q_b, q_h), matrix(do_ptr, batch, head, do_b, do_h)",
        "    lse_at, delta_at = vector(lse_ptr, batch, head, heads, Nq), vector(delta_ptr, batch, head, heads, Nq)",
        f"    there = owned({queries}, owner_ptr, owner, head)",
    )


def _query_blocks(
    loop: Loop, tile: int, block: str, term: int, order: Order, place: str, names: tuple[str, ...]
) -> Iterator[str]:
    """The query blocks of one range. What exists of an order with digits is told from rows, so that its blocks are not
    told apart."""
    kind, keep = ("kept", " keep,") if loop.range.masked else ("full", "")
    lengths = ", ".join(names)
    ends = "0, tl.minimum(Nq, first + there - query_offset)" if order.tiled else "begin, tl.minimum(end, there)"
    yield f"lo = tl.maximum({loop.call('lo', 'J', lengths)} * ({tile} // {block}), begin // {block})"
    yield f"hi = tl.minimum({loop.call('hi', 'J', lengths)} * ({tile} // {block}), tl.cdiv(end, {block}))"
    yield "lo, hi = share(lo, hi, SPLIT)"
    alike = ((_query_head("i", names[0]), False),)
    apart = ((_whole_head(block, names[0]), True), (_ragged_head(names[0]), False))
    for head, whole in alike if order.tiled else apart:
        yield from head
        if loop.range.masked:
            yield f"    a = i * {block} + tl.arange(0, {block})"
            yield f"    keep = keep{term}(qc, a[None, :], b[:, None], {lengths})"
        yield "    q, do, lse, delta = load_queries("
        yield f"        q_at, do_at, lse_at, delta_at, i, qc, {place}, {ends},"
        yield f"        q_n, q_d, do_n, do_d, {constants_of(order)}, HEAD_DIM, BLOCK_D, {block}, {whole},"
        yield "    )"
        yield f"    dk, dv = key_gradient_{kind}(dk, dv, q, k, v, do, lse, delta,{keep} {STEP.format(_PRODUCTS)})"
