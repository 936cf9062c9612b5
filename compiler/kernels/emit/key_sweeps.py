"""The text of the loops over keys: blocks, or diagonals, for a stationary query block."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ...passes.program import Order, Program
from .diagonal import key_diagonals
from .ranges import Group, Run, groups
from .sweeps import PRODUCTS, block_of, comments, constants_of, exist_of, ragged, turned, visited, walked


def swept_keys(program: Program, index: int, step: str) -> Iterator[str]:
    """The loops over key blocks, for a stationary query block."""
    lengths = ", ".join(program.lengths)
    for group in groups(program, "forward", index):
        tile, key, classes = group.tile.key, constants_of(group.order), group.order.classes
        block = block_of(tile, program.tile.key, "BLOCK_K")
        yield from comments(program, group)
        yield f"kc = {turned(group.turn, classes)}"
        yield f"count = ranks(kc, {program.lengths[-1]}, {key})"
        yield f"T = tl.cdiv(count, {tile})"
        if ragged(group):
            yield f"whole = count // {block}"
            yield from (f"{flag} = 0 * whole" for flag in group.flags)
        for run in group.runs:
            lo, hi = (run.call(end, "I", lengths) for end in ("lo", "hi"))
            if run.diagonal:
                mask = "" if run.masked is None else f"keep{run.masked}(c, a, b, {lengths}) & "
                body = key_diagonals(lo, hi, mask, step)
            else:
                body = _key_blocks(group.order, run, f"({tile} // {block})", block, step, lengths)
            yield from body if walked(group, run) else run.repeat("I", lengths, body)
        if ragged(group):
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
    kept = visited(group, "({} > 0)", f"keep{{}}(c, a[:, None], b[None, :], {lengths})")
    kept = f"({kept}) & " if len(group.flags) > 1 else f"{kept} & " if kept else ""
    yield "# The last block, of which some ranks do not exist."
    any_of = " | ".join(group.flags)
    yield f"if {any_of if len(group.flags) == 1 else f'({any_of})'} > 0:"
    yield f"    b = whole * {block} + tl.arange(0, {block})"
    yield f"    keep = {kept}({exist_of(group.order, 'kc')})[None, :]"
    yield f"    {_load_keys(group.order, block, 'whole', False)}"
    yield f"    {step.format('kept', ' keep,', PRODUCTS)}"
