"""The text of the loops of a kernel: blocks of the side that is swept, or diagonals.

What a loop does with a block is a step of the fixed library. Of most blocks every rank exists, and they are loaded
without a mask; the others, at most one at each end of a sequence, are taken by one piece of text at the end of a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..passes.program import Order, Program
from .emit_diagonal import key_diagonals, query_diagonals
from .emit_ranges import Group, Run, groups
from .spell import one_line

STEP = "score_scale, SOFTCAP{}"
PRODUCTS = ", PRECISION"
"""The last argument of a step that multiplies matrices."""


def constants_of(order: Order) -> str:
    return f"{order.period}, {order.digits or order.count}, {order.start}"


def exist_of(order: Order, cls: str) -> str:
    """Which keys exist."""
    return f"exists({cls}, b, n, {constants_of(order)})" if order.tiled else "b < count"


def _block(tile: int, widest: int, block: str) -> str:
    """The ranks of a block that is swept: those of the launch; a narrow tile is taken whole."""
    return block if tile == widest else str(tile)


def _comments(program: Program, group: Group) -> Iterator[str]:
    yield ""
    for sweep in group.sweeps:
        term = program.terms[sweep.term]
        yield f"# term {sweep.term}, line {term.line}: {one_line(term.label)}"


def _ragged(group: Group) -> bool:
    """Whether ragged blocks are taken apart. Of an order with digits what exists is asked of every block."""
    return not group.order.tiled and any(not run.diagonal for run in group.runs)


def _walked(group: Group, run: Run) -> bool:
    """Whether the ranges of a run are one walk, by one loop."""
    return run.walk and not group.order.tiled


def _visited(group: Group, flags: str, mask: str) -> str:
    """The pairs of a ragged block that are kept; empty where all are. ``flags``: of one range, whether it has the
    block; ``mask``: of one term."""
    masks = {run.flag: None if run.masked is None else mask.format(run.masked) for run in group.runs}
    if len(masks) == 1:
        return next(iter(masks.values())) or ""
    parts = [f"({flags.format(flag)} & {kept})" if kept else flags.format(flag) for flag, kept in masks.items()]
    return " | ".join(parts)


def swept_keys(program: Program, index: int, step: str) -> Iterator[str]:
    """The loops over key blocks, for a stationary query block."""
    lengths = ", ".join(program.lengths)
    for group in groups(program, "forward", index):
        tile, key, classes = group.tile.key, constants_of(group.order), group.order.classes
        block = _block(tile, program.tile.key, "BLOCK_K")
        yield from _comments(program, group)
        yield "kc = c" if classes == 1 else f"kc = (c + {group.shift % classes}) % {classes}"
        yield f"count = ranks(kc, {program.lengths[-1]}, {key})"
        yield f"T = tl.cdiv(count, {tile})"
        if _ragged(group):
            yield f"whole = count // {block}"
            yield from (f"{flag} = 0 * whole" for flag in group.flags)
        for run in group.runs:
            lo, hi = (run.call(end, "I", lengths) for end in ("lo", "hi"))
            if run.diagonal:
                mask = "" if run.masked is None else f"keep{run.masked}(c, a, b, {lengths}) & "
                body = key_diagonals(lo, hi, mask, step)
            else:
                body = _key_blocks(group.order, run, f"({tile} // {block})", block, step, lengths)
            yield from body if _walked(group, run) else run.repeat("I", lengths, body)
        if _ragged(group):
            yield from _last_keys(group, block, step, lengths)


def _load_keys(order: Order, block: str, at: str, whole: bool) -> str:
    end = "n" if order.tiled else "count"
    load = f"k, v = load_keys(k_at, v_at, {at}, kc, first, {end}, k_n, k_d, v_n, v_d, {constants_of(order)},"
    return f"{load} HEAD_DIM, BLOCK_D, {block}, {whole})"


def _key_blocks(order: Order, run: Run, parts: str, block: str, step: str, lengths: str) -> Iterator[str]:
    """The key blocks of one range: of a run, those that exist whole."""
    load, exist = partial(_load_keys, order, block), f"{exist_of(order, 'kc')}[None, :]"
    keep = f"keep{run.masked}(c, a[:, None], b[None, :], {lengths})"
    kept = step.format("kept", " keep,", PRODUCTS)
    full = step.format("full", "", PRODUCTS)
    place = f"    b = j * {block} + tl.arange(0, {block})"
    bounds = (
        f"lo = tl.maximum({run.call('lo', 'I', lengths)}, 0) * {parts}",
        f"hi = tl.minimum({run.call('hi', 'I', lengths)} * {parts}, tl.cdiv(count, {block}))",
        "lo, hi = share(lo, hi, SPLIT)",
    )
    cut = f"lo, hi, {run.flag} = whole_blocks(lo, hi, 0, whole, {run.flag})"
    if order.tiled:
        yield from bounds
    if order.tiled and run.masked is not None:
        yield "for j in range(lo, hi):"
        yield from (place, f"    keep = {keep} & {exist}", f"    {load('j', False)}", f"    {kept}")
    elif order.tiled:
        # Every pair of ranks is kept, but ranks of the last period need not exist: its blocks are taken apart.
        yield f"whole = complete(kc, n, {constants_of(order)}) // {block}"
        yield "for j in range(lo, tl.minimum(hi, whole)):"
        yield from (f"    {load('j', True)}", f"    {full}")
        yield "for j in range(tl.maximum(lo, whole), hi):"
        yield from (place, f"    {load('j', False)}", f"    {step.format('kept', f' {exist},', PRODUCTS)}")
    else:
        if run.walk:
            yield from run.walked((*bounds, cut))
            yield from ("for t in range(0, walk_length(walk)):", "    j = block_at(walk, t)")
        else:
            yield from (*bounds, cut, "for j in range(lo, hi):")
        yield from () if run.masked is None else (place, f"    keep = {keep}")
        yield from (f"    {load('j', True)}", f"    {full if run.masked is None else kept}")


def _last_keys(group: Group, block: str, step: str, lengths: str) -> Iterator[str]:
    """The last key block, of which some ranks do not exist, where a range of the group has it."""
    visited = _visited(group, "({} > 0)", f"keep{{}}(c, a[:, None], b[None, :], {lengths})")
    visited = f"({visited}) & " if len(group.flags) > 1 else f"{visited} & " if visited else ""
    yield "# The last block, of which some ranks do not exist."
    any_of = " | ".join(group.flags)
    yield f"if {any_of if len(group.flags) == 1 else f'({any_of})'} > 0:"
    yield f"    b = whole * {block} + tl.arange(0, {block})"
    yield f"    keep = {visited}({exist_of(group.order, 'kc')})[None, :]"
    yield f"    {_load_keys(group.order, block, 'whole', False)}"
    yield f"    {step.format('kept', ' keep,', PRODUCTS)}"


def swept_queries(program: Program, index: int) -> Iterator[str]:
    """The loops over query blocks, for a stationary key block. Each runs over the query heads of the group too: nested
    in a loop over these, all that is the same for them would be kept in registers. Query ranks without a row need no
    mask: their q and dO are loaded as 0."""
    lengths = ", ".join(program.lengths)
    start, offset, place = (
        ("0 * nq", "0 * nq", "0 * nq") if program.cross else ("first", "query_offset", "first - query_offset")
    )
    for group in groups(program, "backward", index):
        tile, query, classes = group.tile.query, constants_of(group.order), group.order.classes
        block = _block(tile, program.tile.query, "BLOCK_Q")
        yield from _comments(program, group)
        yield "qc = c" if classes == 1 else f"qc = (c + {-group.shift % classes}) % {classes}"
        yield f"T = tl.cdiv(ranks(qc, {program.lengths[0]}, {query}), {tile})"
        yield f"begin, end = query_window(qc, {start}, {program.lengths[0]}, {offset}, Nq, {query})"
        if _ragged(group):
            yield f"low, high = whole_window(begin, end, owner_ptr, {block})"
            yield from (f"{flag} = 0 * low" for flag in group.flags)
        for run in group.runs:
            if run.diagonal:
                lo, hi = (run.call(end, "J", lengths) for end in ("lo", "hi"))
                mask = "" if run.masked is None else f"keep{run.masked}(qc, a, b, {lengths}) & "
                body = query_diagonals(lo, hi, query_head("x", program.lengths[0]), mask, place)
            else:
                body = _query_blocks(group.order, run, f"({tile} // {block})", block, place, program.lengths)
            yield from body if _walked(group, run) else run.repeat("J", lengths, body)
        if _ragged(group):
            yield from _edge_queries(group, block, place, program.lengths)


def query_head(place: str, queries: str) -> tuple[str, ...]:
    """The head of a loop that takes the places lo..hi-1 of the first query head of a group, then of the next; without
    a division where a group has but one (ALONE)."""
    return (
        "size = tl.maximum(hi - lo, 0)",
        "for turn in range(lo, lo + group * size):",
        "    head = kv_head if ALONE else kv_head * group + (turn - lo) // size",
        f"    {place} = turn if ALONE else lo + (turn - lo) % size",
        *_head_of_group(queries),
    )


def _walk_head(queries: str) -> tuple[str, ...]:
    """The same, over the blocks i of a walk."""
    return (
        "size = walk_length(walk)",
        "for turn in range(0, group * size):",
        "    head = kv_head if ALONE else kv_head * group + turn // size",
        "    i = block_at(walk, turn if ALONE else turn % size)",
        *_head_of_group(queries),
    )


def _head_of_group(queries: str) -> tuple[str, ...]:
    return (
        "    q_at, do_at = matrix(q_ptr, batch, head, q_b, q_h), matrix(do_ptr, batch, head, do_b, do_h)",
        "    lse_at, delta_at = vector(lse_ptr, batch, head, heads, Nq), vector(delta_ptr, batch, head, heads, Nq)",
        f"    there = owned({queries}, owner_ptr, owner, head)",
    )


def _query_blocks(order: Order, run: Run, parts: str, block: str, place: str, names: tuple[str, ...]) -> Iterator[str]:
    """The query blocks of one range, of a run those of which every rank has a row. What exists of an order with digits
    is told from rows, so that its blocks are not told apart."""
    lengths = ", ".join(names)
    bounds = (
        f"lo = tl.maximum({run.call('lo', 'J', lengths)} * {parts}, begin // {block})",
        f"hi = tl.minimum({run.call('hi', 'J', lengths)} * {parts}, tl.cdiv(end, {block}))",
        "lo, hi = share(lo, hi, SPLIT)",
        *([] if order.tiled else [f"lo, hi, {run.flag} = whole_blocks(lo, hi, low, high, {run.flag})"]),
    )
    if run.walk and not order.tiled:
        yield from run.walked(bounds)
        yield from _walk_head(names[0])
    else:
        yield from bounds
        yield from query_head("i", names[0])
    keep = "" if run.masked is None else f"keep{run.masked}(qc, a[None, :], b[:, None], {lengths})"
    yield from _query_step(order, block, keep, place, "False" if order.tiled else "owner_ptr is None")


def _query_step(order: Order, block: str, keep: str, place: str, whole: str) -> Iterator[str]:
    """What is done with the query block i."""
    ends = "0, tl.minimum(Nq, first + there - query_offset)" if order.tiled else "begin, tl.minimum(end, there)"
    if keep:
        yield f"    a = i * {block} + tl.arange(0, {block})"
        yield f"    keep = {keep}"
    yield "    q, do, lse, delta = load_queries("
    yield f"        q_at, do_at, lse_at, delta_at, i, qc, {place}, {ends},"
    yield f"        q_n, q_d, do_n, do_d, {constants_of(order)}, HEAD_DIM, BLOCK_D, {block}, {whole},"
    yield "    )"
    kind, given = ("kept", " keep,") if keep else ("full", "")
    yield f"    dk, dv = key_gradient_{kind}(dk, dv, q, k, v, do, lse, delta,{given} {STEP.format(PRODUCTS)})"


def _edge_queries(group: Group, block: str, place: str, names: tuple[str, ...]) -> Iterator[str]:
    """The first and the last query block, of which some ranks have no row, where a range of the group has them. They
    are few, so that their loop is no pipeline."""
    mask = f"keep{{}}(qc, a[None, :], b[:, None], {', '.join(names)})"
    body = (
        f"edges = {' | '.join(group.flags)}",
        "size = edge_count(edges)",
        "for turn in tl.range(0, group * size, num_stages=1):",
        "    head = kv_head if ALONE else kv_head * group + turn // size",
        "    edge, i = edge_block(turn if ALONE else turn % size, edges, low, high)",
        *_head_of_group(names[0]),
        *_query_step(group.order, block, _visited(group, "(({} & edge) > 0)", mask), place, "False"),
    )
    yield "# The first and the last block, of which some ranks have no row."
    yield "if owner_ptr is None:"
    yield from (f"    {row}" for row in body)
