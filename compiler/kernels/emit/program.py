"""emit: a program as the source text of Triton kernels.

For every kernel of ``program.forward`` a ``forward_k`` and a ``backward_query_k`` (the gradient of q; the same tiles),
for every kernel of ``program.backward`` a ``backward_key_k`` (the gradients of k and v). The text says which tiles are
visited and which pairs are kept; the mathematics of a tile is imported from runtime/engines/triton/tiles.py.

Layouts: q [B, Hq, Nq, D], k and v [B, Hkv, Nk, D], out as q, all with any strides; lse and delta fp32 [B, Hq, Nq],
gradients contiguous. Grid: (classes x blocks, B x heads). ``spans`` is None or int32 [B, 2]: the physical key rows
[start, end) that exist; logical position = physical row - start. Row r of q stands at physical row query_offset + r.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from ...passes.program import NATURAL, Kernel, Program, Term, Tile
from ..launch import Role
from .kernel import backward_key, backward_query, describe, forward
from .ranges import groups, loops
from .spell import one_line, sentence, spell
from .spell_mask import spell_mask
from .table import takes

_LIBRARY = (
    "LOG2_E",
    "and_then",
    "attend_diagonal",
    "attend_full",
    "attend_kept",
    "block_at",
    "bundles",
    "complete",
    "edge_block",
    "edge_count",
    "exists",
    "finish",
    "floordiv",
    "floormod",
    "fresh",
    "gradient_landing",
    "key_block",
    "key_gradient_diagonal",
    "key_gradient_full",
    "key_gradient_kept",
    "key_head",
    "landing",
    "listed",
    "listed_block",
    "load_keys",
    "load_lse",
    "load_queries",
    "load_rows",
    "matrix",
    "owned",
    "query_block",
    "query_gradient_diagonal",
    "query_gradient_full",
    "query_gradient_kept",
    "query_head",
    "query_lanes",
    "query_window",
    "ranks",
    "resume",
    "row_numbers",
    "sequence",
    "share",
    "store_gradient",
    "token",
    "vector",
    "walk_length",
    "whole_blocks",
    "whole_window",
    "within",
)


def emit(program: Program, only: tuple[Role, int] | None = None) -> str:
    """The kernels of ``program`` as a Python module that imports only triton and patternc.runtime.engines.triton.tiles.

    ``only``: one kernel, by its role and its place there, with the functions that it calls, each written as in the
    whole. Raises ValueError where the program breaks its own contract (compiler/passes/program.py).
    """
    validate(program)
    chosen = [each for each in _kernels(program) if only in (None, each)]
    sides = {("backward" if role == "backward_key" else "forward", index): None for role, index in chosen}
    kernels = [(program.forward if side == "forward" else program.backward)[index] for side, index in sides]
    parts = [_keep(program, index, term) for index, term in enumerate(program.terms) if _is_masked(kernels, index)]
    parts += [text for side, index in sides for text in _bounds(program, side, index)]
    parts += [_WRITERS[role](program, index) for role, index in chosen]
    body = "\n\n\n".join(parts)
    return "\n\n\n".join([_header(program, body), *parts]) + "\n"


_WRITERS: dict[Role, Callable[[Program, int], str]] = {
    "forward": forward,
    "backward_query": backward_query,
    "backward_key": backward_key,
}


def _kernels(program: Program) -> Iterator[tuple[Role, int]]:
    """All of them, in the order in which they are written."""
    for index in range(len(program.forward)):
        yield from (("forward", index), ("backward_query", index))
    yield from (("backward_key", index) for index in range(len(program.backward)))


def validate(program: Program) -> None:
    """Raise ValueError unless orders of kernels and terms fit together."""
    for index, term in enumerate(program.terms):
        if term.query.classes != term.key.classes:
            raise ValueError(f"the orders of term {index} have different numbers of classes")
        if program.cross and (term.query.tiled or term.key.tiled):
            raise ValueError(f"term {index} of a cross pattern is in a tiled order")
        if term.tile is not None:
            _validate_narrow(program.tile, term.tile, index)
    if program.table and not takes(program, program.table):
        raise ValueError(f"the first kernels of {program.name} cannot take blocks of {program.table} tokens")
    for size in (program.tile.query, program.tile.key):
        if size < 16 or size & (size - 1):
            raise ValueError(f"a tile of {size} ranks: the matrix units take powers of two from 16")
    for side, kernels in (("query", program.forward), ("key", program.backward)):
        for kernel in kernels:
            _validate_kernel(program, kernel, side)


def _validate_kernel(program: Program, kernel: Kernel, side: str) -> None:
    held: set[int] = set()
    for sweep in kernel.sweeps:
        term, tile = program.terms[sweep.term], program.tile_of(sweep)
        held.add(tile.query if side == "query" else tile.key)
        if (term.query if side == "query" else term.key) != kernel.order:
            raise ValueError(f"term {sweep.term} is in a kernel of another {side} order")
        if not sweep.ranges:
            raise ValueError(f"a sweep of term {sweep.term} has no ranges")
        if sweep.diagonal and not (term.query == term.key == NATURAL and all(span.diagonal for span in sweep.ranges)):
            raise ValueError(f"term {sweep.term} is not all diagonals, in natural orders")
        if program.is_vector(kernel) and not (sweep.diagonal or tile.vector):
            raise ValueError(f"the kernel of term {sweep.term} multiplies matrices, but not in every sweep")
    if len(held) != 1:
        raise ValueError(f"the terms of a kernel hold unequally many {side} ranks: {sorted(held)}")


def _validate_narrow(whole: Tile, own: Tile, index: int) -> None:
    sides = (own.query, whole.query), (own.key, whole.key)
    if sum(narrow < wide for narrow, wide in sides) != 1 or any(narrow > wide for narrow, wide in sides):
        raise ValueError(f"the tile of term {index} is not that of its program, narrower on one side")
    if not {own.query, own.key} <= {1, 16, whole.query, whole.key}:
        raise ValueError(f"a tile of {own.query} x {own.key}: a narrow side has 1 rank, or 16")


def _header(program: Program, body: str) -> str:
    terms = [
        f"    term {index}, line {term.line}: {one_line(term.label)}\n"
        f"        queries {describe(term.query)}; keys {describe(term.key)}{_rows(program, index)}{_narrow(term)}"
        for index, term in enumerate(program.terms)
    ]
    kind = "causal" if program.causal else "cross" if program.cross else "not causal"
    lengths = "nq, nk lengths of queries and keys" if program.cross else "n length"
    words = set(re.findall(r"\w+", body))
    used = [name for name in _LIBRARY if name in words]
    return "\n".join(
        [
            f'"""Kernels of the pattern {one_line(program.name)}, generated by patternc. Do not edit.',
            "",
            *terms,
            "",
            f"{kind}; tiles of {program.tile.query} queries x {program.tile.key} keys.",
            "The kernels of one direction run in order, each resuming from what the one before left in memory.",
            "",
            f"{lengths}; c class of the stationary side, kc and qc of the swept side; I, J query and key tile;",
            "a, b query and key rank; T tiles of the swept side. Tiles are walked in blocks, BLOCK_Q x BLOCK_K ranks.",
            *([_TABLE.format(program.table)] if program.table else []),
            *(
                ["A loop over x takes diagonals: of a block of queries, or of keys, the pairs with b - a = x."]
                if any(sweep.diagonal for kernel in program.forward for sweep in kernel.sweeps)
                else []
            ),
            '"""',
            "",
            "import triton",
            "import triton.language as tl",
            "",
            *_imports(used),
        ]
    )


_TABLE = (
    "The first kernel of each direction takes blocks of {} too, which a call may list (blocks_ptr): t, place in a list."
)


def _rows(program: Program, index: int) -> str:
    """The rows of the fans of a term."""
    ranges = (span for k in program.forward for s in k.sweeps if s.term == index for span in s.ranges)
    rows = sorted({span.fan.row for span in ranges if span.fan and not span.diagonal})
    return f"; by rows of {', '.join(map(str, rows))}" if rows else ""


def _narrow(term: Term) -> str:
    return "" if term.tile is None else f"; tiles of {term.tile.query} x {term.tile.key}"


def _imports(names: list[str]) -> list[str]:
    """Nothing for a pattern without pairs, which has no kernels."""
    if not names:
        return []
    return ["from patternc.runtime.engines.triton.tiles import (", *(f"    {name}," for name in names), ")"]


def _bounds(program: Program, side: str, at_kernel: int) -> Iterator[str]:
    still, lengths = "I" if side == "forward" else "J", ", ".join(program.lengths)
    kernels = program.forward if side == "forward" else program.backward
    for at_sweep in range(len(kernels[at_kernel].sweeps)):
        for loop in loops(side, kernels, at_kernel, at_sweep):
            for name, step, value in loop.functions():
                body = f"return {sentence(spell(value))}"
                yield f"@triton.jit\ndef {name}({still}, c, {step}T, {lengths}):\n    {body}"
    for group in groups(program, side, at_kernel):
        for run in group.runs:
            yield from run.choosers(still, lengths)


def _keep(program: Program, index: int, term: Term) -> str:
    head = f"@triton.jit\ndef keep{index}(c, a, b, {', '.join(program.lengths)}):"
    text = sentence(spell_mask(term.keep))
    return f"{head}\n    # line {term.line}: {one_line(term.label)}\n    return {text}"


def _is_masked(kernels: Iterable[Kernel], term: int) -> bool:
    return any(item.masked for k in kernels for s in k.sweeps if s.term == term for item in s.ranges)
