"""A piece of some lists, some tiles by some entries, folded for matrix products: its places, pairs and gates.

A folded tensor is [B, Hkv, split, tiles, group * rows, D]: heads that share a list, and the queries of a tile, are the
rows of one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ....compiler.relations.integer import TRUE
from ..lists.key_lists import KeyLists
from ..lists.places import Heads, Places, parted


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Query rows first..last - 1 (of ``rows``, where the lists have them) in ``tiles`` tiles of ``size``; row 0 stands
    at ``bounds.first``.

    ``lists`` holds the piece's own entries, by tiles and slots; ``slots`` int64 of their shape says which they were,
    ``place`` which tiles. ``whole``: every row reads every key of every entry.
    """

    lists: KeyLists
    first: int
    last: int
    tiles: int
    size: int
    place: slice
    slots: Tensor
    whole: bool = False

    def narrowed(self, slots: Tensor, *, whole: bool = False) -> Piece:
        """Some of the slots, int64 of the shape of entries but for the last dimension."""

        def pick(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.expand(self.slots.shape).gather(-1, slots)

        own = self.lists
        entries = own.entries.gather(-1, slots)
        lists = replace(own, entries=entries, gate=pick(own.gate), since=pick(own.since), until=pick(own.until))
        return replace(self, lists=lists, slots=self.slots.gather(-1, slots), whole=whole)


def fold(x: Tensor, piece: Piece, heads: Heads) -> Tensor:
    """x [B, Hq, N, D] as [B, Hkv, split, tiles, group * rows, D]; rows behind the last are 0."""
    own = x[:, :, piece.first : piece.last]
    if short := piece.tiles * piece.size - own.shape[2]:
        own = F.pad(own, (0, 0, 0, short))
    own = parted(parted(own, 2, piece.tiles, piece.size), 1, heads.key, heads.split, heads.group)
    return own.transpose(3, 4).flatten(4, 5)


def unfold(x: Tensor, piece: Piece, heads: Heads) -> Tensor:
    """The inverse: [B, Hq, last - first, D]."""
    own = parted(x, 4, heads.group, piece.size).transpose(3, 4).flatten(1, 3).flatten(2, 3)
    return own[:, :, : piece.last - piece.first]


def places(piece: Piece, heads: Heads) -> Places:
    """Positions of queries and keys; where there are none, those of others: ``mask`` leaves them out."""
    lists, entries = piece.lists, piece.lists.entries.clamp_min(0)
    within = torch.arange(lists.block, device=entries.device)
    keys = (entries[..., None] * lists.block + within).flatten(-2)
    key = heads.spread(keys)[:, :, :, :, None, None]
    row = torch.arange(piece.first, piece.first + piece.tiles * piece.size, device=entries.device)
    if lists.rows is None:
        query = (lists.bounds.first + row).view(1, 1, 1, piece.tiles, 1, piece.size, 1)
    else:
        own = lists.bounds.first + lists.rows[..., row.clamp(max=lists.rows.shape[-1] - 1)]
        query = heads.spread(parted(own, 2, piece.tiles, piece.size))[:, :, :, :, None, :, None]
    lengths = {name: _by_element(length) for name, length in lists.bounds.lengths.items()}
    return Places(query, key, heads, lengths)


def mask(piece: Piece, at: Places) -> Tensor:
    """bool, broadcasts to [B, Hkv, split, tiles, group, rows, keys], its keys whole: the pairs that the lists hold, and
    any of rows behind the last, of which ``unfold`` takes nothing and whose gradients are 0. One row where all are
    alike."""
    lists, heads = piece.lists, at.heads
    bounds = lists.bounds
    kept = _by_key(lists.entries >= 0, lists, heads) & (at.key < _by_element(bounds.keys))
    if not _all_exist(lists, piece.last):
        kept = kept & (at.query < _by_element(bounds.queries))
    if bounds.causal:
        kept = kept & (at.key <= at.query)
    if lists.since is not None:
        kept = kept & (at.query >= _by_key(lists.since, lists, heads))
    if lists.until is not None:
        kept = kept & (at.query < _by_key(lists.until, lists, heads))
    for gate in log_gates(piece, heads):
        kept = kept & ~gate.isneginf()
    kept = kept & at.where(bounds.within)
    return kept & ~held_before(piece, at) if bounds.earlier else kept


def alike(lists: KeyLists, last: int) -> bool:
    """Whether of the queries up to the row ``last`` all that share a tile read the same keys: a mask then has a row."""
    bounds = lists.bounds
    by_row = (lists.since, lists.until, lists.rows, lists.row_gate)
    if bounds.causal or bounds.within != TRUE or bounds.earlier or any(x is not None for x in by_row):
        return False
    return _all_exist(lists, last)


def _all_exist(lists: KeyLists, last: int) -> bool:
    """Whether the queries up to the row ``last`` do, as far as a look does not stop a device's stream."""
    count = lists.bounds.queries
    return lists.rows is None and count.device.type == "cpu" and bool((count >= lists.bounds.first + last).all())


def held_before(piece: Piece, at: Places) -> Tensor:
    """bool, broadcasts as ``mask`` does: the pairs of earlier terms, and more where there is no query or no key."""
    bounds = piece.lists.bounds
    # What lies behind a length is no place of their tables.
    query, key = (
        x.minimum(_by_element(length) - 1).clamp_min(0)
        for x, length in ((at.query, bounds.queries), (at.key, bounds.keys))
    )
    own = replace(at, query=query, key=key)
    found = torch.zeros(1, 1, 1, 1, 1, 1, 1, dtype=torch.bool, device=key.device)
    for earlier in bounds.earlier:
        found = found | earlier.holds(own)
    return found


def log_gates(piece: Piece, heads: Heads, *, of_keys: bool = True) -> Iterator[Tensor]:
    """The gates of keys, first, of rows and of heads; each broadcasts to [B, Hkv, split, tiles, group, rows, keys]."""
    lists = piece.lists
    if lists.gate is not None and of_keys:
        yield _by_key(lists.gate, lists, heads)
    if lists.row_gate is not None:
        own = lists.row_gate[..., piece.first : piece.last]
        own = F.pad(own, (0, piece.tiles * piece.size - own.shape[-1]))
        yield heads.spread(parted(own, 2, piece.tiles, piece.size))[:, :, :, :, None, :, None]
    if lists.head_gate is not None:
        yield lists.head_gate[heads.index(heads.query, lists.head_gate.device)]


def log_sizes(piece: Piece, at: Places) -> Iterator[Tensor]:
    """The logarithm of how many tokens each key stands for, where they are summaries; broadcasts as gates do."""
    if piece.lists.log_size is not None:
        # The last block may be ragged.
        key = at.key.clamp(max=piece.lists.log_size.shape[1] - 1)
        yield replace(at, key=key).by_key(piece.lists.log_size[:, None])


def bias(piece: Piece, at: Places, dtype: torch.dtype) -> Tensor | None:
    """What is added to the scores, -inf where there is no pair; None: nothing. Broadcasts to [B, Hkv, split, tiles,
    group, rows, keys]."""
    lists, added = piece.lists, torch.zeros((), dtype=dtype, device=at.key.device)
    if not lists.probe:
        for gate in log_gates(piece, at.heads):
            added = added + gate.to(dtype)
    for size in log_sizes(piece, at):
        added = added + size.to(dtype)
    if piece.whole:
        return added if added.dim() and bool((added != 0).any()) else None
    kept = mask(piece, at)
    return added.where(kept, -torch.inf)


def _by_key(x: Tensor, lists: KeyLists, heads: Heads) -> Tensor:
    """[B or 1, G, tiles or 1, slots], one for each entry, as one for each key."""
    return heads.spread(x if lists.block == 1 else x.repeat_interleave(lists.block, -1))[:, :, :, :, None, None]


def _by_element(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1, 1, 1, 1)
