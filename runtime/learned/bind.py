"""From a compiled pattern and what was selected to the parts of one call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...compiler.lower_learned import LearnedProgram
from ...compiler.passes.choices import Gates, Use
from ...compiler.passes.separate import Selected
from ...patterns_dsl.syntax import Direction
from ..engines.engine import Call, Engine
from ..selectors.selection import (
    BlockSelection,
    KeySelection,
    LevelSelection,
    Selection,
    SummarySelection,
    TermGate,
    TokenSelection,
)
from .held import Earlier, Held, HeldAlways
from .lists import Bounds, KeyLists
from .positional import Positional
from .products import Scores
from .softmax import Parts
from .tables import (
    block_lists,
    column_lists,
    held_blocks,
    held_columns,
    held_keys,
    held_levels,
    held_rows,
    key_lists,
    level_lists,
    probe_lists,
    row_lists,
    summary_lists,
)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Of one call: k and v [B, Hkv, Nk, D], and how many tokens of each element exist, int64 [B]. Queries and keys
    stand at the front; what lies behind is 0."""

    k: Tensor
    v: Tensor
    queries: Tensor
    keys: Tensor

    def lengths(self, direction: Direction) -> dict[str, Tensor]:
        """By the names that a pattern gives them."""
        return {"nq": self.queries, "nk": self.keys} if direction is Direction.CROSS else {"n": self.keys}


def bind(
    program: LearnedProgram,
    engine: Engine[object],
    selections: Mapping[str, Selection],
    tokens: Tokens,
    scores: Scores,
    first: int = 0,
) -> Parts:
    """``selections``: of each ``learn`` by its name, a TermGate of each gate by its term, and of each ``pooled(s)``.
    The queries that are given stand at ``first`` and on, a multiple of ``tile_of(selections)``."""
    parts = program.parts
    gates = _Gates(selections)
    call = Call(scores.scale, spans=_spans(tokens), query_offset=first, softcap=scores.softcap)
    positional = [] if program.positional is None else [Positional(engine, program.positional, call)]
    before: list[Earlier] = []
    for term, own in zip(parts.gated, program.gated, strict=True):
        gate = gates.first_open(term.choices)
        positional.append(Positional(engine, own, call, gate))
        before.append(Earlier(HeldAlways(), term.pairs, _open(gate)))
    causal = parts.direction is Direction.CAUSAL
    base = Bounds(tokens.queries, tokens.keys, causal, tokens.lengths(parts.direction), first=first)
    lists: list[KeyLists] = []
    held: list[Earlier] = []
    for selected in parts.selected:
        gate = gates.sum_of(selected.gates)
        earlier = (*(before[k] for k in selected.gated), *(held[k] for k in selected.after))
        bounds = replace(base, within=selected.within, earlier=earlier)
        found, own_held = _lists(selected, selections[selected.source], bounds, tokens)
        lists += (replace(each, head_gate=gate) for each in found)
        held.append(Earlier(own_held, selected.within, _open(gate)))
    for summarised in parts.summaries:
        selection = selections[f"pooled({summarised.size})"]
        assert isinstance(selection, SummarySelection)
        lists.append(replace(summary_lists(selection, base), head_gate=gates.first_open(summarised.choices)))
    return Parts(tuple(positional), tuple(each.started() for each in lists), scores, engine.name)


def tile_of(selections: Mapping[str, Selection]) -> int:
    """How many queries share their lists, at most: of all selections together."""
    sizes = [1]
    for selection in selections.values():
        match selection:
            case BlockSelection() | LevelSelection():
                sizes.append(selection.block)
            case KeySelection():
                sizes.append(selection.tile)
    return math.lcm(*sizes)


def _lists(
    selected: Selected, selection: Selection, bounds: Bounds, tokens: Tokens
) -> tuple[tuple[KeyLists, ...], Held]:
    keys = tokens.k.shape[2]
    match selected.use, selection:
        case Use.COLUMNS, TokenSelection():
            return (column_lists(selection, bounds),), held_columns(selection)
        case Use.ROWS, TokenSelection():
            return (row_lists(selection, bounds, keys),), held_rows(selection)
        case Use.BLOCKS, BlockSelection():
            # Under a gate of its head a block's own gradient would be another.
            probed = () if selected.gates else probe_lists(selection, bounds)
            return (block_lists(selection, bounds), *probed), held_blocks(selection, keys)
        case Use.LEVELS, LevelSelection():
            return level_lists(selection, bounds, tokens.k, tokens.v), held_levels(selection)
        case Use.KEYS, KeySelection():
            return key_lists(selection, bounds, keys), held_keys(selection)
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
