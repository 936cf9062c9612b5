"""Selections as boolean pairs and gates, written out: what their tables mean. For the reference, tests and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from ...patterns_dsl.builtin.selectors import MEDIUM_SIZE
from ...patterns_dsl.syntax import Direction
from .inputs import Inputs
from .pooling import block_counts, block_means
from .reference import Summaries, Term
from .selection import (
    COARSE,
    FINE,
    MEDIUM,
    BlockSelection,
    KeySelection,
    LevelSelection,
    SummarySelection,
    TermGate,
    TokenSelection,
)

PartT = TypeVar("PartT", Term, Summaries)
Written = tuple[tuple[Term, ...], tuple[Summaries, ...]]


def written_out(
    selection: TokenSelection | BlockSelection | KeySelection | LevelSelection | SummarySelection,
    inputs: Inputs,
    k: Tensor,
    v: Tensor,
    heads: int,
) -> Written:
    """The terms and summaries of a selection, for ``heads`` query heads over k, v [B, Hkv, Nk, D], those that attention
    uses. ``inputs`` are what it was made from. O(Nq Nk) memory."""
    allowed = _allowed(inputs, selection.direction)
    terms: tuple[Term, ...] = ()
    summaries: tuple[Summaries, ...] = ()
    match selection:
        case TokenSelection():
            terms = _tokens(selection, allowed)
        case BlockSelection():
            terms = (_blocks(selection, allowed),)
        case KeySelection():
            terms = _keys(selection, allowed)
        case LevelSelection():
            terms, summaries = _levels(selection, allowed, inputs, k, v)
        case SummarySelection():
            reads = torch.arange(allowed.shape[-2], device=k.device)[:, None] >= selection.visible_from
            present = torch.arange(len(selection.visible_from), device=k.device) < selection.counts[:, None]
            pairs = reads & present[:, None, None] & inputs.query.exists()[:, None, :, None]
            size = torch.tensor(selection.log_size, dtype=torch.float64, device=k.device)
            summaries = (Summaries(selection.keys, selection.values, size, pairs, size=selection.size),)
        case _:
            assert_never(selection)
    return tuple(_for_heads(term, heads) for term in terms), tuple(_for_heads(each, heads) for each in summaries)


def with_gate(term: Term, gate: TermGate) -> Term:
    """The term under a gate per head."""
    factor = gate.log_gate[:, None, None]
    return Term(term.pairs, factor if term.log_gate is None else term.log_gate + factor)


def _allowed(inputs: Inputs, direction: Direction) -> Tensor:
    """bool [B, 1, Nq, Nk]: what the direction allows among the tokens that exist."""
    pairs = inputs.query.exists()[:, None, :, None] & inputs.key.exists()[:, None, None, :]
    return pairs.tril() if direction is Direction.CAUSAL else pairs


def _tokens(selection: TokenSelection, allowed: Tensor) -> tuple[Term, ...]:
    query = torch.arange(allowed.shape[-2], device=allowed.device)[:, None]
    columns = Term((query < selection.until[:, :, None]) & allowed, selection.column_gate[:, :, None])
    if selection.rows is None or selection.row_gate is None:
        return (columns,)
    return columns, Term(selection.rows[..., None] & allowed, selection.row_gate[..., None])


def _table(width: int, places: Tensor, values: Tensor, empty: float) -> Tensor:
    """[..., width] with the values at their places; those at -1 are left out."""
    table = torch.full((*places.shape[:-1], width + 1), empty, dtype=values.dtype, device=values.device)
    return table.scatter(-1, places.where(places >= 0, width), values)[..., :width]


def _spread(table: Tensor, block: int, nq: int, nk: int | None, first: int, empty: float) -> Tensor:
    """A table of blocks [..., a, b] as one of tokens; of queries alone where ``nk`` is None. Queries before ``first``
    are not in it, and have what is ``empty``."""
    table = F.pad(table.repeat_interleave(block, -2), (0, 0, first, 0), value=empty)[..., :nq, :]
    return table if nk is None else table.repeat_interleave(block, -1)[..., :nk]


def _blocks(selection: BlockSelection, allowed: Tensor) -> Term:
    nq, nk = allowed.shape[-2:]
    table = _table(selection.key_blocks, selection.blocks, selection.log_gate, -torch.inf)
    gate = _spread(table, selection.block, nq, nk, selection.first, -torch.inf)
    return Term(~gate.isneginf() & allowed, gate)


def _keys(selection: KeySelection, allowed: Tensor) -> tuple[Term, ...]:
    nq, nk = allowed.shape[-2:]
    until, gate = (
        _spread(_table(selection.key_count, selection.keys, x, empty), selection.tile, nq, None, selection.first, empty)
        for x, empty in ((selection.until, 0), (selection.log_gate, -torch.inf))
    )
    query = torch.arange(nq, device=allowed.device)[:, None]
    chosen = Term((query < until) & allowed, gate)
    own = torch.eye(nq, nk, dtype=torch.bool, device=allowed.device) & allowed
    return (Term(own), chosen) if selection.diagonal else (chosen,)


def _levels(
    selection: LevelSelection, allowed: Tensor, inputs: Inputs, k: Tensor, v: Tensor
) -> tuple[tuple[Term, ...], tuple[Summaries, ...]]:
    nq, nk = allowed.shape[-2:]
    block, first, exists = selection.block, selection.first, inputs.key.exists()
    fine = _spread(selection.level == FINE, block, nq, nk, first, False) & allowed
    summaries = []
    for level, size in ((MEDIUM, MEDIUM_SIZE), (COARSE, block)):
        if level == MEDIUM and block % MEDIUM_SIZE:
            continue  # not among its levels
        count = -(-nk // size)
        tokens = block_counts(inputs.key.counts(), count, size)[:, None, None]
        parts = block // size
        chosen = _spread(selection.level == level, block, nq, None, first, False).repeat_interleave(parts, -1)[
            ..., :count
        ]
        gate = _spread(selection.log_gate, block, nq, None, first, -torch.inf)
        gate = gate.repeat_interleave(parts, -1)[..., :count]
        pairs = chosen & (tokens > 0) & inputs.query.exists()[:, None, :, None]
        keys, values = (block_means(x, exists, size) for x in (k, v))
        summaries.append(Summaries(keys, values, tokens.clamp_min(1).double().log(), pairs, gate, size))
    return (Term(fine, _spread(selection.log_gate, block, nq, nk, first, -torch.inf)),), tuple(summaries)


def _for_heads(part: PartT, heads: int) -> PartT:
    """Groups [B, G, ...] as query heads [B, heads, ...]."""

    def wide(x: Tensor) -> Tensor:
        return x if x.shape[1] == 1 else x.repeat_interleave(heads // x.shape[1], dim=1)

    return replace(part, pairs=wide(part.pairs), log_gate=None if part.log_gate is None else wide(part.log_gate))
