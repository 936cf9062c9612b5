"""Keys, or values, by entry: gathered for a piece, and the gradients that are added to them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..lists.key_lists import KeyLists
from ..lists.places import Heads
from .pieces import Piece


class Entries:
    """x [B, Hkv, N, D] in blocks of consecutive tokens; the last may be ragged, and x is not copied for that: it is
    taken in ``unit`` tokens, which divide N and the blocks."""

    def __init__(self, x: Tensor, block: int) -> None:
        self.shape, self.block = x.shape, block
        self.unit = math.gcd(x.shape[2], block)
        self.units = x.shape[2] // self.unit
        self.flat = x.reshape(-1, self.unit * x.shape[3])  # every unit of every key head of every element

    @classmethod
    def of(cls, tokens: Tensor, lists: KeyLists, name: str, dtype: torch.dtype) -> Entries:
        """Of the lists' own keys or values, or of the tokens'."""
        own = lists.learned().get(name)
        return cls((tokens if own is None else own).to(dtype), lists.block)

    def take(self, piece: Piece, heads: Heads) -> Tensor:
        """[B, Hkv, split, tiles or 1, keys, D]."""
        index = self._index(piece, heads)
        own = self.flat.index_select(0, index.flatten()).view(*index.shape, self.unit, self.shape[3])
        return own.flatten(-3, -2)

    def totals(self, target: Tensor) -> Tensor:
        """Where gradients are added up, by unit: ``target`` [B, Hkv, N, D] itself, or if it is no one piece of memory
        some of its own."""
        own = target if target.is_contiguous() else target.new_zeros(self.shape)
        return own.view(self.flat.shape)

    def add(self, piece: Piece, heads: Heads, gradient: Tensor, totals: Tensor) -> None:
        """gradient as ``take`` gives it."""
        index = self._index(piece, heads)
        totals.index_add_(0, index.flatten(), gradient.reshape(index.numel(), totals.shape[1]))

    def finish(self, target: Tensor, totals: Tensor) -> None:
        """After the last gradient."""
        if not target.is_contiguous():
            target.add_(totals.view(self.shape))

    def _index(self, piece: Piece, heads: Heads) -> Tensor:
        """int64 [B, Hkv, split, tiles or 1, slots and units of each], rows of ``flat``; behind the last token that one,
        of which a mask takes nothing."""
        entries = piece.lists.entries.clamp_min(0)
        if self.unit < self.block:
            each = self.block // self.unit
            entries = (entries[..., None] * each + torch.arange(each, device=entries.device)).flatten(-2)
            entries = entries.clamp(max=self.units - 1)
        entries = heads.spread(entries)
        owner = torch.arange(self.shape[0] * heads.key, device=entries.device).view(-1, heads.key, 1, 1, 1)
        return owner * self.units + entries
