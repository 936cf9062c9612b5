"""The text of the loops over queries: blocks, or diagonals, for a stationary key block."""

from __future__ import annotations

from collections.abc import Iterator

from ...passes.program import Order, Program
from .diagonal import query_diagonals
from .ranges import Group, Run, groups
from .sweeps import PRODUCTS, STEP, block_of, comments, constants_of, ragged, turned, visited, walked


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
        block = block_of(tile, program.tile.query, "BLOCK_Q")
        yield from comments(program, group)
        yield f"qc = {turned(group.turn.back(classes), classes)}"
        yield f"T = tl.cdiv(ranks(qc, {program.lengths[0]}, {query}), {tile})"
        yield f"begin, end = query_window(qc, {start}, {program.lengths[0]}, {offset}, Nq, {query})"
        if ragged(group):
            yield f"low, high = whole_window(begin, end, owner_ptr, {block})"
            yield from (f"{flag} = 0 * low" for flag in group.flags)
        for run in group.runs:
            if run.diagonal:
                lo, hi = (run.call(end, "J", lengths) for end in ("lo", "hi"))
                mask = "" if run.masked is None else f"keep{run.masked}(qc, a, b, {lengths}) & "
                body = query_diagonals(lo, hi, query_head("x", program.lengths[0]), mask, place)
            else:
                body = _query_blocks(group.order, run, f"({tile} // {block})", block, place, program.lengths)
            yield from body if walked(group, run) else run.repeat("J", lengths, body)
        if ragged(group):
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
        *_query_step(group.order, block, visited(group, "(({} & edge) > 0)", mask), place, "False"),
    )
    yield "# The first and the last block, of which some ranks have no row."
    yield "if owner_ptr is None:"
    yield from (f"    {row}" for row in body)
