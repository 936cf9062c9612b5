"""Selections as boolean pairs and gates, written out: what their tables mean. For the reference, tests and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, assert_never

import torch
from torch import Tensor

from ...patterns_dsl.builtin.selectors import MEDIUM_SIZE
from ...patterns_dsl.syntax import Direction
from .inputs import Inputs
from .reference import Summaries, Term
from .scoring.pooling import block_counts, block_means
from .selection import (
    COARSE,
    FINE,
    MEDIUM,
    SKIP,
    TABLES,
    BlockSelection,
    KeySelection,
    LevelSelection,
    SummarySelection,
    TermGate,
    TokenSelection,
    tile_of,
)

PartT = TypeVar("PartT", Term, Summaries)
Written = tuple[tuple[Term, ...], tuple[Summaries, ...]]


Tabled = TypeVar("Tabled", BlockSelection, KeySelection, LevelSelection)


def written_out(
    selection: TokenSelection | BlockSelection | KeySelection | LevelSelection | SummarySelection,
    inputs: Inputs,
    k: Tensor,
    v: Tensor,
    heads: int,
    queries: range | None = None,
) -> Written:
    """The terms and summaries of a selection for these queries, R of them in a row, or all: [..., R, Nk] for ``heads``
    query heads over k, v [B, Hkv, Nk, D], those that attention uses. ``inputs`` are what it was made from. O(R Nk)
    memory."""
    queries = range(inputs.query.shape[1]) if queries is None else queries
    allowed = _allowed(inputs, selection.direction, queries)
    terms: tuple[Term, ...] = ()
    summaries: tuple[Summaries, ...] = ()
    match selection:
        case TokenSelection():
            terms = _tokens(selection, allowed, queries)
        case BlockSelection():
            terms = (_blocks(_of(selection, queries), allowed, queries),)
        case KeySelection():
            terms = _keys(_of(selection, queries), allowed, queries)
        case LevelSelection():
            terms, summaries = _levels(_of(selection, queries), allowed, inputs, k, v, queries)
        case SummarySelection():
            reads = _places(queries, k.device)[:, None] >= selection.visible_from
            present = torch.arange(len(selection.visible_from), device=k.device) < selection.counts[:, None]
            pairs = reads & present[:, None, None] & _exist(inputs, queries)
            size = torch.tensor(selection.log_size, dtype=torch.float64, device=k.device)
            summaries = (Summaries(selection.keys, selection.values, size, pairs, size=selection.size),)
        case _:
            assert_never(selection)
    return tuple(_for_heads(term, heads) for term in terms), tuple(_for_heads(each, heads) for each in summaries)


def with_gate(term: Term, gate: TermGate) -> Term:
    """The term under a gate per head."""
    factor = gate.log_gate[:, None, None]
    return Term(term.pairs, factor if term.log_gate is None else term.log_gate + factor)


def _of(selection: Tabled, queries: range) -> Tabled:
    """With the rows of its tables that these queries read, so that no table of all of them is written out."""
    tile = tile_of(selection)
    begin = max(selection.first, queries.start - queries.start % tile)
    rows = slice((begin - selection.first) // tile, max(0, -(-(queries.stop - selection.first) // tile)))
    tables: dict[str, Any] = {name: getattr(selection, name, None) for name in TABLES}
    cut: dict[str, Any] = {name: x[:, :, rows] for name, x in tables.items() if x is not None}
    return replace(selection, first=begin, **cut)


def _places(queries: range, device: torch.device) -> Tensor:
    return torch.arange(queries.start, queries.stop, device=device)


def _exist(inputs: Inputs, queries: range) -> Tensor:
    """bool [B, 1, R, 1]."""
    return inputs.query.exists()[:, None, queries.start : queries.stop, None]


def _allowed(inputs: Inputs, direction: Direction, queries: range) -> Tensor:
    """bool [B, 1, R, Nk]: what the direction allows among the tokens that exist."""
    pairs = _exist(inputs, queries) & inputs.key.exists()[:, None, None, :]
    return pairs & _until_own(pairs, queries) if direction is Direction.CAUSAL else pairs


def _until_own(pairs: Tensor, queries: range) -> Tensor:
    """bool [R, Nk]: j <= i."""
    key = torch.arange(pairs.shape[-1], device=pairs.device)
    return key <= _places(queries, pairs.device)[:, None]


def _tokens(selection: TokenSelection, allowed: Tensor, queries: range) -> tuple[Term, ...]:
    query = _places(queries, allowed.device)[:, None]
    columns = Term((query < selection.until[:, :, None]) & allowed, selection.column_gate[:, :, None])
    if selection.rows is None or selection.row_gate is None:
        return (columns,)
    own = slice(queries.start, queries.stop)
    rows, gate = (x[..., own, None] for x in (selection.rows, selection.row_gate))
    return columns, Term(rows & allowed, gate)


def _table(width: int, places: Tensor, values: Tensor, empty: float) -> Tensor:
    """[..., width] with the values at their places; those at -1 are left out."""
    table = torch.full((*places.shape[:-1], width + 1), empty, dtype=values.dtype, device=values.device)
    return table.scatter(-1, places.where(places >= 0, width), values)[..., :width]


def _by_query(table: Tensor, selection: Tabled, queries: range, empty: float) -> Tensor:
    """A table [..., tiles, a] as [..., R, a]. Queries before its first one are not in it, and have ``empty``."""
    if not table.shape[-2]:
        return table.new_full((*table.shape[:-2], len(queries), table.shape[-1]), empty)
    row = (_places(queries, table.device) - selection.first).div(tile_of(selection), rounding_mode="floor")
    return table[..., row.clamp_min(0), :].masked_fill((row < 0)[:, None], empty)


def _by_key(table: Tensor, block: int, nk: int) -> Tensor:
    """A table [..., key blocks] as one of keys."""
    return table.repeat_interleave(block, -1)[..., :nk]


def _blocks(selection: BlockSelection, allowed: Tensor, queries: range) -> Term:
    table = _table(selection.key_blocks, selection.blocks, selection.log_gate, -torch.inf)
    gate = _by_key(_by_query(table, selection, queries, -torch.inf), selection.block, allowed.shape[-1])
    return Term(~gate.isneginf() & allowed, gate)


def _keys(selection: KeySelection, allowed: Tensor, queries: range) -> tuple[Term, ...]:
    until, gate = (
        _by_query(_table(selection.key_count, selection.keys, x, empty), selection, queries, empty)
        for x, empty in ((selection.until, 0), (selection.log_gate, -torch.inf))
    )
    query = _places(queries, allowed.device)[:, None]
    chosen = Term((query < until) & allowed, gate)
    own = torch.arange(allowed.shape[-1], device=allowed.device) == query
    return (Term(own & allowed), chosen) if selection.diagonal else (chosen,)


def _levels(
    selection: LevelSelection, allowed: Tensor, inputs: Inputs, k: Tensor, v: Tensor, queries: range
) -> tuple[tuple[Term, ...], tuple[Summaries, ...]]:
    nk = allowed.shape[-1]
    block, exists = selection.block, inputs.key.exists()
    level = _by_query(selection.level, selection, queries, SKIP)
    gate = _by_query(selection.log_gate, selection, queries, -torch.inf)
    summaries = []
    for summary, size in ((MEDIUM, MEDIUM_SIZE), (COARSE, block)):
        if summary == MEDIUM and block % MEDIUM_SIZE:
            continue  # not among its levels
        count, parts = -(-nk // size), block // size
        tokens = block_counts(inputs.key.counts(), count, size)[:, None, None]
        pairs = _by_key(level == summary, parts, count) & (tokens > 0) & _exist(inputs, queries)
        keys, values = (block_means(x, exists, size) for x in (k, v))
        own = _by_key(gate, parts, count)
        summaries.append(Summaries(keys, values, tokens.clamp_min(1).double().log(), pairs, own, size))
    return (Term(_by_key(level == FINE, block, nk) & allowed, _by_key(gate, block, nk)),), tuple(summaries)


def _for_heads(part: PartT, heads: int) -> PartT:
    """Groups [B, G, ...] as query heads [B, heads, ...]."""

    def wide(x: Tensor) -> Tensor:
        return x if x.shape[1] == 1 else x.repeat_interleave(heads // x.shape[1], dim=1)

    return replace(part, pairs=wide(part.pairs), log_gate=None if part.log_gate is None else wide(part.log_gate))
