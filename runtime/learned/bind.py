"""From a compiled pattern, what was selected and what its tables draw to the parts of one call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...compiler.lowering.learned import LearnedProgram
from ...compiler.passes.choices import Gates, Use
from ...compiler.passes.separate import Selected, Separated
from ...patterns_dsl.syntax import Direction, Drawn
from ..engines.engine import Call, Engine
from ..selectors.inputs import Side
from ..selectors.kept import Scope
from ..selectors.selection import (
    BlockSelection,
    KeySelection,
    LevelSelection,
    Selection,
    SummarySelection,
    TermGate,
    TokenSelection,
    begun,
    tile_of,
)
from .lists.held import Earlier, Held, HeldAlways
from .lists.key_lists import Bounds, KeyLists
from .lists.selected import (
    block_lists,
    column_lists,
    held_blocks,
    held_columns,
    held_keys,
    held_levels,
    held_rows,
    held_table,
    key_lists,
    level_lists,
    probe_lists,
    row_lists,
    summary_lists,
)
from .positional import Positional
from .running.products import Scores
from .seeded.drawn import DrawnBlocks, drawn_blocks, table_lists
from .softmax import Parts


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Of one call: k and v [B, Hkv, Nk, D], and how many tokens of each element exist, int64 [B]. Queries and keys
    stand at the front; what lies behind is 0. ``kept``: of a text that grows, what was made of k and v before."""

    k: Tensor
    v: Tensor
    queries: Tensor
    keys: Tensor
    kept: Scope | None = None

    def lengths(self, direction: Direction) -> dict[str, Tensor]:
        """By the names that a pattern gives them."""
        return {"nq": self.queries, "nk": self.keys} if direction is Direction.CROSS else {"n": self.keys}


def bind(
    program: LearnedProgram,
    engine: Engine[object],
    selections: Mapping[str, Selection],
    tokens: Tokens,
    scores: Scores,
    first: int,
    rows: int,
) -> Parts:
    """``selections``: of each ``learn`` by its name, a TermGate of each gate by its term, and of each ``pooled(s)``.
    The ``rows`` queries that are given stand at ``first`` and on: a multiple of all tiles, or all of them are in one
    tile of each selection."""
    parts = program.parts
    gates = _Gates(selections)
    call = Call(scores.scale, spans=_spans(tokens), query_offset=first, softcap=scores.softcap)
    positional = [] if program.positional is None else [Positional(engine, program.positional, call)]
    positional += [
        Positional(engine, own, call, gates.first_open(term.choices))
        for term, own in zip(parts.gated, program.gated, strict=True)
    ]
    return Parts(tuple(positional), bind_lists(parts, selections, tokens, first, rows), scores, engine.name)


def bind_lists(
    parts: Separated, selections: Mapping[str, Selection], tokens: Tokens, first: int, rows: int
) -> tuple[KeyLists, ...]:
    """The lists alone, of selections, tables and summaries. Arguments as in ``bind``."""
    gates = _Gates(selections)
    before = [Earlier(HeldAlways(), term.pairs, _open(gates.first_open(term.choices))) for term in parts.gated]
    causal = parts.direction is Direction.CAUSAL
    base = Bounds(tokens.queries, tokens.keys, causal, tokens.lengths(parts.direction), first=first)
    lists: list[KeyLists] = []
    held: dict[int, Earlier] = {}
    asked = {k for selected in parts.selected for k in selected.after}
    for number, selected in enumerate(parts.selected):
        gate, selection = gates.sum_of(selected.gates), _choice(selected, selections, base, tokens, rows)
        earlier = (*(before[k] for k in selected.gated), *(held[k] for k in selected.after))
        bounds = replace(base, within=selected.within, earlier=earlier)
        lists += (replace(each, head_gate=gate) for each in _lists(selected, selection, bounds, tokens, rows))
        if number in asked:
            held[number] = Earlier(_held(selected, selection, tokens), selected.within, _open(gate))
    for summarised in parts.summaries:
        pooled = selections[f"pooled({summarised.size})"]
        assert isinstance(pooled, SummarySelection)
        lists.append(replace(summary_lists(pooled, base), head_gate=gates.first_open(summarised.choices)))
    return tuple(lists)


def begin_of(parts: Separated, selections: Mapping[str, Selection], first: int, rows: int, *, narrow: bool) -> int:
    """The query with which the given ones, ``rows`` from ``first`` on, must begin: with ``narrow`` the first itself,
    where they are all in one tile of each selection and table; else where tiles of all of them begin."""
    tables = (each.source.block for each in parts.selected if isinstance(each.source, Drawn))
    tiles = [1, *(tile_of(selection) for selection in selections.values()), *tables]
    if narrow and all(first // tile == (first + rows - 1) // tile for tile in tiles):
        return first
    return first - first % math.lcm(*tiles)


def _choice(
    selected: Selected, selections: Mapping[str, Selection], bounds: Bounds, tokens: Tokens, rows: int
) -> Selection | DrawnBlocks:
    """What was selected; of a table, what it draws for all queries from the block of the first one on."""
    if isinstance(selected.source, str):
        return selections[selected.source]
    begin, end = bounds.first - bounds.first % selected.source.block, bounds.first + rows
    keys = tokens.k.shape[2]
    queries = end if "nq" in bounds.lengths else max(end, keys)
    return drawn_blocks(selected.source, replace(bounds, first=begin), queries - begin, keys)


def _lists(
    selected: Selected, selection: Selection | DrawnBlocks, bounds: Bounds, tokens: Tokens, rows: int
) -> Iterator[KeyLists]:
    """With the given queries; of all of them, or of those in one tile."""
    inside = bounds.first % (selection.block if isinstance(selection, DrawnBlocks) else tile_of(selection))
    begin = replace(bounds, first=bounds.first - inside)
    for lists in _whole(selected, selection, begin, tokens, inside + rows):
        yield lists.narrowed(bounds.first, rows) if inside else lists


def _whole(
    selected: Selected, selection: Selection | DrawnBlocks, bounds: Bounds, tokens: Tokens, rows: int
) -> tuple[KeyLists, ...]:
    if isinstance(selection, DrawnBlocks):
        return (table_lists(selection, bounds, rows),)
    selection = begun(selection, bounds.first)
    match selected.use, selection:
        case Use.COLUMNS, TokenSelection():
            return (column_lists(selection, bounds),)
        case Use.ROWS, TokenSelection():
            return (row_lists(selection, bounds, rows, tokens.k.shape[2]),)
        case Use.BLOCKS, BlockSelection():
            # Under a gate of its head a block's own gradient would be another.
            probed = () if selected.gates else probe_lists(selection, bounds)
            return (block_lists(selection, bounds), *probed)
        case Use.LEVELS, LevelSelection():
            side = Side(heads=tokens.k, lengths=tokens.keys, kept=tokens.kept)
            return level_lists(selection, bounds, side, tokens.v)
        case Use.KEYS, KeySelection():
            return key_lists(selection, bounds, tokens.k.shape[2])
        case _:
            raise TypeError(f"{selected.source} gave {type(selection).__name__}, which has no {selected.use.value}")


def _held(selected: Selected, selection: Selection | DrawnBlocks, tokens: Tokens) -> Held:
    match selected.use, selection:
        case Use.TABLE, DrawnBlocks(block, blocks, first):
            return held_table(block, blocks, first, tokens.k.shape[2])
        case Use.COLUMNS, TokenSelection():
            return held_columns(selection)
        case Use.ROWS, TokenSelection():
            return held_rows(selection)
        case Use.BLOCKS, BlockSelection():
            return held_blocks(selection, tokens.k.shape[2])
        case Use.LEVELS, LevelSelection():
            return held_levels(selection)
        case Use.KEYS, KeySelection():
            return held_keys(selection)
        case _:
            raise TypeError(f"{selected.source} gave {type(selection).__name__}, which has no {selected.use.value}")


def _spans(tokens: Tokens) -> Tensor:
    return torch.stack([torch.zeros_like(tokens.keys), tokens.keys], -1).int()


def _open(gate: Tensor | None) -> Tensor | None:
    return None if gate is None else ~gate.detach().isneginf()


@dataclass(frozen=True, slots=True)
class _Gates:
    selections: Mapping[str, Selection]

    def sum_of(self, gates: Gates) -> Tensor | None:
        """The log-gate [Hq] of gates that are open together; None where there is none."""
        found = list(self._each(gates))
        return torch.stack(found).sum(0) if found else None

    def first_open(self, choices: Sequence[Gates]) -> Tensor | None:
        """The log-gate [Hq] of the first choice that is open in the head; None where the first is no gate."""
        result: Tensor | None = None
        for place, choice in enumerate(choices):
            gate = self.sum_of(choice)
            if place == 0:
                result = gate
            elif result is not None:
                other = torch.zeros_like(result) if gate is None else gate
                result = torch.where(result.isneginf(), other, result)
        return result

    def _each(self, gates: Gates) -> Iterator[Tensor]:
        for name in gates:
            gate = self.selections[name]
            assert isinstance(gate, TermGate)
            yield gate.log_gate
