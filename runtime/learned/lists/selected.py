"""From selections to lists: what is read, and what is held against the terms behind."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ....compiler.relations.integer import All, Compare, Var
from ....patterns_dsl.builtin.selectors import MEDIUM_SIZE
from ...selectors.inputs import Side
from ...selectors.layer import slots
from ...selectors.pooled import token_means
from ...selectors.scoring.pooling import block_counts
from ...selectors.selection import (
    COARSE,
    FINE,
    MEDIUM,
    BlockSelection,
    KeySelection,
    LevelSelection,
    SummarySelection,
    TokenSelection,
    tile_of,
)
from .held import HeldBlocks, HeldColumns, HeldKeys, HeldRows
from .key_lists import Bounds, KeyLists

ROW_BLOCK = 64
"""Keys of an entry where all keys are read."""


def column_lists(selection: TokenSelection, bounds: Bounds) -> KeyLists:
    """One list for all queries: the tokens that some query reads, rising."""
    until = _open_until(selection)
    places = slots(until > 0, _most((until > 0).sum(-1), until))
    known = places.clamp_min(0)
    return KeyLists(
        bounds,
        tile=0,
        block=1,
        entries=places[:, :, None],
        until=until.gather(-1, known)[:, :, None],
        gate=selection.column_gate.gather(-1, known)[:, :, None],
    )


def held_columns(selection: TokenSelection) -> HeldColumns:
    return HeldColumns(_open_until(selection))


def row_lists(selection: TokenSelection, bounds: Bounds, queries: int, keys: int) -> KeyLists:
    """Of the ``queries`` that are given those that are chosen, before others that fill the list up and are closed, by
    all keys."""
    assert selection.rows is not None and selection.row_gate is not None
    given = slice(bounds.first, bounds.first + queries)
    chosen = _open_rows(selection)[..., given]
    count = _most(chosen.sum(-1), chosen)
    rows = (~chosen).to(torch.uint8).sort(dim=-1, stable=True).indices[..., :count]
    gate = selection.row_gate[..., given].masked_fill(~chosen, -torch.inf).gather(-1, rows)
    entries = torch.arange(-(-keys // ROW_BLOCK), device=rows.device).expand(1, rows.shape[1], 1, -1)
    return KeyLists(bounds, tile=0, block=ROW_BLOCK, entries=entries, rows=rows, row_gate=gate)


def held_rows(selection: TokenSelection) -> HeldRows:
    return HeldRows(_open_rows(selection))


def block_lists(selection: BlockSelection, bounds: Bounds) -> KeyLists:
    """The blocks of each block of queries."""
    return KeyLists(
        bounds, tile=selection.block, block=selection.block, entries=selection.blocks, gate=selection.log_gate
    )


def probe_lists(selection: BlockSelection, bounds: Bounds) -> tuple[KeyLists, ...]:
    """The blocks that are not read, and are to learn what that costs."""
    if selection.probed is None:
        return ()
    block = selection.block
    return (KeyLists(bounds, tile=block, block=block, entries=selection.probed, gate=selection.probe_gate, probe=True),)


def held_blocks(selection: BlockSelection, keys: int) -> HeldBlocks:
    blocks = selection.blocks.masked_fill(selection.log_gate.isneginf(), -1)
    return held_table(selection.block, blocks, selection.first, keys)


def held_table(block: int, blocks: Tensor, first: int, keys: int) -> HeldBlocks:
    """blocks int64 [B, G, query blocks, slots], -1 for none, from the block of the query ``first`` on."""
    count = -(-keys // block)
    table = torch.zeros(*blocks.shape[:-1], count + 1, dtype=torch.bool, device=blocks.device)
    # What holds no block goes to one behind the last.
    table = table.scatter(-1, blocks.where(blocks >= 0, count), True)
    return HeldBlocks(block, _from(table, first // block, False))


def key_lists(selection: KeySelection, bounds: Bounds, keys: int) -> tuple[KeyLists, ...]:
    """The keys of each tile; where it is forced, each query's own key in lists of its own."""
    chosen = KeyLists(
        bounds,
        tile=selection.tile,
        block=1,
        entries=selection.keys,
        until=selection.until,
        gate=selection.log_gate,
    )
    if not selection.diagonal:
        return (chosen,)
    count = selection.keys.shape[2] * selection.tile
    own = torch.arange(selection.first, selection.first + count, device=selection.keys.device)
    own = own.view(1, 1, -1, selection.tile)
    diagonal = KeyLists(bounds, selection.tile, 1, own.where(own < keys, -1), since=own, until=own + 1)
    others = All((bounds.within, Compare("!=", Var("i"), Var("j"))))
    return diagonal, replace(chosen, bounds=replace(bounds, within=others))


def held_keys(selection: KeySelection) -> HeldKeys:
    keys, order = selection.keys.masked_fill(selection.log_gate.isneginf(), -1).sort(dim=-1)
    keys, until = _whole(keys, selection, -1), _whole(selection.until.gather(-1, order), selection, 0)
    return HeldKeys(selection.tile, selection.diagonal, keys, until)


def level_lists(selection: LevelSelection, bounds: Bounds, side: Side, v: Tensor) -> tuple[KeyLists, ...]:
    """The blocks that are kept whole; then the summaries of the others, of k, which are the heads of a side, and v
    [B, Hkv, Nk, D]."""
    k = side.needs("heads", "refine")
    fine = _levels(selection, FINE, bounds, selection.block)
    found = [fine]
    for level, size in ((MEDIUM, MEDIUM_SIZE), (COARSE, selection.block)):
        if level == MEDIUM and selection.block % MEDIUM_SIZE:
            continue  # not among its levels
        # In a causal pattern the block that is being written is fine.
        keys, values = (
            token_means(side, name, x, size, whole=not bounds.causal) for name, x in (("keys", k), ("values", v))
        )
        tokens = block_counts(bounds.keys, keys.shape[2], size)
        lists = _levels(selection, level, summary_bounds(bounds, (tokens > 0).sum(-1)), selection.block // size)
        found.append(replace(lists, keys=keys, values=values, log_size=tokens.clamp_min(1).to(k.dtype).log()))
    return tuple(found)


def held_levels(selection: LevelSelection) -> HeldBlocks:
    table = (selection.level == FINE) & ~selection.log_gate.isneginf()
    return HeldBlocks(selection.block, _whole(table, selection, False))


def summary_lists(selection: SummarySelection, bounds: Bounds) -> KeyLists:
    """All summaries, each from the query on that reads it first."""
    count = selection.keys.shape[2]
    entries = torch.arange(count, device=selection.keys.device).view(1, 1, 1, -1)
    return KeyLists(
        summary_bounds(bounds, selection.counts),
        tile=0,
        block=1,
        entries=entries,
        since=selection.visible_from.view(1, 1, 1, -1),
        keys=selection.keys,
        values=selection.values,
        log_size=selection.keys.new_full((1, count), selection.log_size),
    )


def summary_bounds(bounds: Bounds, count: Tensor) -> Bounds:
    """Summaries, so many [B] of them, stand beside tokens: no pair of theirs is anyone else's."""
    return Bounds(bounds.queries, count, False, bounds.lengths, first=bounds.first)


def _levels(selection: LevelSelection, level: int, bounds: Bounds, block: int) -> KeyLists:
    chosen = (selection.level == level) & ~selection.log_gate.isneginf()
    places = slots(chosen, _most(chosen.sum(-1), chosen))
    gate = selection.log_gate.gather(-1, places.clamp_min(0))
    return KeyLists(bounds, tile=selection.block, block=block, entries=places, gate=gate)


def _whole(table: Tensor, selection: KeySelection | LevelSelection, empty: float) -> Tensor:
    """With rows for the tiles of queries before the selection's first one."""
    return _from(table, selection.first // tile_of(selection), empty)


def _from(table: Tensor, rows: int, empty: float) -> Tensor:
    return F.pad(table, (0, 0, rows, 0), value=empty)


def _open_until(selection: TokenSelection) -> Tensor:
    return selection.until.masked_fill(selection.column_gate.isneginf(), 0)


def _open_rows(selection: TokenSelection) -> Tensor:
    assert selection.rows is not None and selection.row_gate is not None
    return selection.rows & ~selection.row_gate.isneginf()


def _most(counts: Tensor, chosen: Tensor) -> int:
    """How long a list must be: the longest, but where a look at it would stop a device's stream, all there could be."""
    return int(counts.max()) if counts.numel() and counts.device.type == "cpu" else chosen.shape[-1]
