"""Which entries of a piece all of its queries read, every key: they need no mask."""

from __future__ import annotations

import torch
from torch import Tensor

from ..lists.intervals import Interval, always
from ..lists.places import Heads, parted
from .pieces import Piece, held_before, places


def whole_entries(piece: Piece, heads: Heads) -> Tensor:
    """bool of the shape of entries: True only where all queries of the tile that exist read every key of the entry."""
    lists, bounds = piece.lists, piece.lists.bounds
    query, first_key = _queries(piece, heads), heads.spread(lists.entries * lists.block)
    key = first_key, first_key + lists.block - 1
    lengths = {name: _by_tile(length) for name, length in bounds.lengths.items()}
    box = {"i": query, "j": key} | {name: (length, length) for name, length in lengths.items()}
    kept = (first_key >= 0) & (query[1] < _by_tile(bounds.queries)) & (key[1] < _by_tile(bounds.keys))
    if bounds.causal:
        kept = kept & (key[1] <= query[0])
    if lists.since is not None:
        kept = kept & (query[0] >= heads.spread(lists.since))
    if lists.until is not None:
        kept = kept & (query[1] < heads.spread(lists.until))
    kept = kept & always(bounds.within, box)
    kept = _open(kept, piece, heads)
    if bounds.earlier:
        held = held_before(piece, places(piece, heads))
        by_entry = parted(held.expand(*held.shape[:6], first_key.shape[-1] * lists.block), 6, -1, lists.block)
        kept = kept & ~by_entry.any(-1).any(5).any(4)
    return _grouped(kept, piece.slots.shape, heads)


def _queries(piece: Piece, heads: Heads) -> Interval:
    """The first and the last query of each tile, [B or 1, Hkv or 1, split or 1, tiles, 1]."""
    rows, start = piece.lists.rows, piece.lists.bounds.first
    if rows is None:
        first = torch.arange(piece.tiles, device=piece.slots.device).view(1, 1, 1, -1, 1) * piece.size + piece.first
        return start + first, start + (first + piece.size).clamp(max=piece.last) - 1
    own = start + heads.spread(rows[..., piece.first : piece.last])  # of one tile
    return own.amin(-1)[..., None, None], own.amax(-1)[..., None, None]


def _open(kept: Tensor, piece: Piece, heads: Heads) -> Tensor:
    """Without the entries that a closed gate takes some pair from."""
    lists = piece.lists
    if lists.gate is not None:
        kept = kept & ~heads.spread(lists.gate).isneginf()
    if lists.row_gate is not None:
        closed = heads.spread(lists.row_gate[..., piece.first : piece.last]).isneginf().any(-1)
        kept = kept & ~closed[..., None, None]
    if lists.head_gate is not None:
        closed = parted(lists.head_gate.isneginf(), 0, heads.key, heads.split, heads.group).any(-1)
        kept = kept & ~closed[..., None, None]
    return kept


def _grouped(kept: Tensor, shape: torch.Size, heads: Heads) -> Tensor:
    """[B or 1, Hkv or 1, split or 1, tiles, slots] as entries are: True where it is so for all that share them."""
    by_head = kept.expand(-1, heads.key, heads.split, -1, -1).flatten(1, 2)
    if shape[1] == 1:
        by_head = by_head.all(1, keepdim=True)
    if shape[0] == 1:
        by_head = by_head.all(0, keepdim=True)
    return by_head.expand(shape)


def _by_tile(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1, 1)
