"""Lists in pieces of bounded size: some tiles by some entries, folded for plain matrix products.

A folded tensor is [B, Hkv, split, tiles, group * rows, D]: heads that share a list, and the queries of a tile, are the
rows of one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .lists import KeyLists
from .places import Heads, Places, parted

MOST_SCORES = 1 << 22
"""Of one piece, as far as one tile and one entry allow."""

LONGEST_LIST = 1 << 12
"""Keys of one piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Query rows first..last - 1 (of ``rows``, where the lists have them) in ``tiles`` tiles of ``size``, by entries
    int64 [B or 1, G, tiles or 1, slots]."""

    first: int
    last: int
    tiles: int
    size: int
    tile_slice: slice
    slot_slice: slice

    def cut(self, x: Tensor) -> Tensor:
        """What belongs to the piece, of a tensor of the shape of entries."""
        tiles = x if x.shape[2] == 1 else x[:, :, self.tile_slice]
        return tiles if tiles.shape[3] == 1 else tiles[..., self.slot_slice]


def pieces(lists: KeyLists, heads: Heads, batch: int, rows: int) -> Iterator[Piece]:
    """Every tile with every entry, once."""
    slots = lists.entries.shape[-1]
    at_once = max(1, LONGEST_LIST // lists.block)
    keys = min(slots, at_once) * lists.block
    most = max(1, MOST_SCORES // max(1, batch * heads.query * keys))  # rows at once
    size = lists.tile or min(most, max(1, rows))
    tiles = max(1, most // size)
    count = -(-rows // size)
    for start in range(0, count, tiles if lists.tile else 1):
        stop = min(count, start + (tiles if lists.tile else 1))
        tile_slice = slice(start, stop) if lists.tile else slice(0, 1)
        for slot in range(0, slots, at_once):
            piece = Piece(
                start * size, min(stop * size, rows), stop - start, size, tile_slice, slice(slot, slot + at_once)
            )
            if (trimmed := _trimmed(piece, lists)) is not None:
                yield trimmed


def _trimmed(piece: Piece, lists: KeyLists) -> Piece | None:
    """Without the entries at its ends that none of its queries reads; None where there are no others."""
    entries = piece.cut(lists.entries)
    read = entries >= 0
    if lists.rows is None:
        if lists.bounds.causal:
            read = read & (entries * lists.block < piece.last)
        if lists.since is not None:
            read = read & (piece.cut(lists.since) < piece.last)
        if lists.until is not None:
            read = read & (piece.cut(lists.until) > piece.first)
    if read.device.type != "cpu":
        return piece  # a look would stop the device's stream
    used = read.flatten(0, -2).any(0).nonzero()
    if not len(used):
        return None
    low, high = int(used[0]), int(used[-1]) + 1
    first = piece.slot_slice.start
    return Piece(piece.first, piece.last, piece.tiles, piece.size, piece.tile_slice, slice(first + low, first + high))


def fold(x: Tensor, piece: Piece, heads: Heads) -> Tensor:
    """x [B, Hq, N, D] as [B, Hkv, split, tiles, group * rows, D]; rows behind the last are 0."""
    own = x[:, :, piece.first : piece.last]
    own = F.pad(own, (0, 0, 0, piece.tiles * piece.size - own.shape[2]))
    own = parted(parted(own, 2, piece.tiles, piece.size), 1, heads.key, heads.split, heads.group)
    return own.transpose(3, 4).flatten(4, 5)


def unfold(x: Tensor, piece: Piece, heads: Heads) -> Tensor:
    """The inverse: [B, Hq, last - first, D]."""
    own = parted(x, 4, heads.group, piece.size).transpose(3, 4).flatten(1, 3).flatten(2, 3)
    return own[:, :, : piece.last - piece.first]


def places(piece: Piece, lists: KeyLists, heads: Heads) -> Places:
    """Positions of queries and keys; where there are none, those of others: ``mask`` leaves them out."""
    entries = piece.cut(lists.entries).clamp_min(0)
    within = torch.arange(lists.block, device=entries.device)
    keys = (entries[..., None] * lists.block + within).flatten(-2)
    key = heads.spread(keys)[:, :, :, :, None, None]
    row = torch.arange(piece.first, piece.first + piece.tiles * piece.size, device=entries.device)
    if lists.rows is None:
        query = row.view(1, 1, 1, piece.tiles, 1, piece.size, 1)
    else:
        own = lists.rows[..., row.clamp(max=lists.rows.shape[-1] - 1)]
        query = heads.spread(parted(own, 2, piece.tiles, piece.size))[:, :, :, :, None, :, None]
    lengths = {name: _by_element(length) for name, length in lists.bounds.lengths.items()}
    return Places(query, key, heads, lengths)


def mask(piece: Piece, lists: KeyLists, at: Places) -> Tensor:
    """bool, broadcasts to [B, Hkv, split, tiles, group, rows, keys]: the pairs that the lists hold."""
    bounds, heads = lists.bounds, at.heads
    row = torch.arange(piece.tiles * piece.size, device=at.key.device) < piece.last - piece.first
    kept = row.view(1, 1, 1, piece.tiles, 1, piece.size, 1) & _by_key(piece.cut(lists.entries) >= 0, lists, heads)
    kept = kept & (at.query < _by_element(bounds.queries)) & (at.key < _by_element(bounds.keys))
    if bounds.causal:
        kept = kept & (at.key <= at.query)
    if lists.since is not None:
        kept = kept & (at.query >= _by_key(piece.cut(lists.since), lists, heads))
    if lists.until is not None:
        kept = kept & (at.query < _by_key(piece.cut(lists.until), lists, heads))
    for gate in log_gates(piece, lists, heads):
        kept = kept & ~gate.isneginf()
    # What lies behind a length is no place of its tables.
    own = Places(
        at.query.minimum(_by_element(bounds.queries) - 1).clamp_min(0),
        at.key.minimum(_by_element(bounds.keys) - 1).clamp_min(0),
        heads,
        at.lengths,
    )
    kept = kept & own.where(bounds.within)
    for earlier in bounds.earlier:
        kept = kept & ~torch.as_tensor(earlier.holds(own))
    return kept


def log_gates(piece: Piece, lists: KeyLists, heads: Heads) -> Iterator[Tensor]:
    """What is added to the scores, each broadcasts to [B, Hkv, split, tiles, group, rows, keys]."""
    if lists.gate is not None:
        yield _by_key(piece.cut(lists.gate), lists, heads)
    if lists.row_gate is not None:
        own = lists.row_gate[..., piece.first : piece.last]
        own = F.pad(own, (0, piece.tiles * piece.size - own.shape[-1]))
        yield heads.spread(parted(own, 2, piece.tiles, piece.size))[:, :, :, :, None, :, None]
    if lists.head_gate is not None:
        yield lists.head_gate[heads.index(heads.query, lists.head_gate.device)]


def _by_key(x: Tensor, lists: KeyLists, heads: Heads) -> Tensor:
    """[B or 1, G, tiles or 1, slots], one for each entry, as one for each key."""
    return heads.spread(x.repeat_interleave(lists.block, -1))[:, :, :, :, None, None]


def _by_element(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1, 1, 1, 1)
