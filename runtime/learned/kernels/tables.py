"""Lists as kernels read them: contiguous tensors of 32-bit numbers, how they are blocked, and who reads a block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..lists.key_lists import KeyLists

LARGEST = torch.iinfo(torch.int32).max
MOST_LANES, KEYS = 64, 64
"""Lanes of a block of rows, and places of a list, at most. Not tuned."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kernel walks lists: ``pack`` lanes for each row (``engines/triton/lanes.py``), ``block_q`` lanes, of a list
    ``block_k`` places at a time; every entry is padded to ``padded`` places."""

    groups: int
    tile: int
    block: int
    padded: int
    pack: int
    block_q: int
    block_k: int

    @classmethod
    def of(cls, lists: KeyLists, heads: int, key_heads: int, rows: int) -> Shape:
        group = heads // key_heads
        apart = lists.groups == heads and group > 1
        pack = 1 if apart else _power(group)
        pack = pack if pack <= MOST_LANES else 1
        lanes = max(16, pack, min(MOST_LANES, _power((lists.tile or rows) * pack)))
        if lists.block < 16:
            padded = _power(lists.block)
            keys = max(16, min(KEYS, _power(lists.entries.shape[-1] * padded)))
        else:
            keys = min(KEYS, _power(lists.block))
            padded = -(-lists.block // keys) * keys
        return cls(lists.groups, lists.tile, lists.block, padded, pack, lanes, keys)

    @property
    def blocks_of_tile(self) -> int:
        return -(-self.tile // (self.block_q // self.pack))

    def blocks(self, rows: int, tiles: int) -> int:
        """Blocks of rows."""
        return tiles * self.blocks_of_tile if self.tile else -(-rows // (self.block_q // self.pack))

    def bundles(self, heads: int, key_heads: int) -> int:
        return key_heads if self.pack > 1 else heads

    @property
    def held(self) -> bool:
        """Whether an instance can hold keys: of a list that all rows share, or a block whose readers are known; no
        single key."""
        return not self.tile or self.block >= 16

    def alone(self, heads: int, key_heads: int) -> bool:
        """Whether no other instance that holds keys adds to the same ones."""
        return self.bundles(heads, key_heads) == key_heads


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """int32 and fp32, contiguous: entries, since, until, gate [B, G, tiles, slots]; ends [B, G, blocks of rows]: how
    many slots a block of rows reads; rows and row_gate [B, G, R]; head_gate [Hq]; size [P]."""

    entries: Tensor
    since: Tensor | None
    until: Tensor | None
    gate: Tensor | None
    ends: Tensor
    rows: Tensor | None
    row_gate: Tensor | None
    head_gate: Tensor | None

    @classmethod
    def of(cls, lists: KeyLists, shape: Shape, batch: int, rows: int) -> Tables:
        whole = (batch, *lists.entries.shape[1:])

        def table(x: Tensor | None, dtype: torch.dtype = torch.int32) -> Tensor | None:
            if x is None:
                return None
            x = x.clamp(max=LARGEST) if dtype == torch.int32 else x
            return x.detach().expand(whole).to(dtype).contiguous()

        def of_rows(x: Tensor | None, dtype: torch.dtype) -> Tensor | None:
            return None if x is None else x.detach().expand(batch, lists.groups, -1).to(dtype).contiguous()

        entries = table(lists.entries)
        assert entries is not None
        return cls(
            entries,
            table(lists.since),
            table(lists.until),
            table(lists.gate, torch.float32),
            _ends(lists, shape, rows).expand(batch, lists.groups, -1).to(torch.int32).contiguous(),
            of_rows(lists.rows, torch.int32),
            of_rows(lists.row_gate, torch.float32),
            None if lists.head_gate is None else lists.head_gate.detach().float().contiguous(),
        )


def readers(tables: Tables, blocks: int) -> tuple[Tensor, Tensor]:
    """(order [B, G, tiles * slots], offsets [B, G, blocks + 1]) of the lists of a block: the entries sorted, and where
    those of each block begin. Made on the device: nothing is looked at."""
    flat = tables.entries.flatten(2)
    ordered = flat.sort(dim=-1, stable=True)
    edges = torch.arange(blocks + 1, dtype=torch.int32, device=flat.device).expand(*flat.shape[:2], -1).contiguous()
    offsets = torch.searchsorted(ordered.values.contiguous(), edges)
    return ordered.indices.int().contiguous(), offsets.int().contiguous()


def _ends(lists: KeyLists, shape: Shape, rows: int) -> Tensor:
    """[B or 1, G, blocks of rows]: one past the last slot that a block of rows reads."""
    entries, slots = lists.entries, lists.entries.shape[-1]
    device = entries.device
    if not shape.tile:
        ranks = shape.block_q // shape.pack
        last = lists.bounds.first + torch.arange(1, shape.blocks(rows, 1) + 1, device=device) * ranks - 1
        begin = entries[:, :, 0] * shape.block if lists.bounds.causal else torch.zeros_like(entries[:, :, 0])
        if lists.since is not None:
            begin = torch.maximum(begin, lists.since[:, :, 0])
        if lists.rows is not None:
            begin = torch.zeros_like(begin)
        # Slots that hold none come last; what begins later comes later.
        begin = begin.masked_fill(entries[:, :, 0] < 0, LARGEST)
        begin = begin.cummax(-1).values.contiguous() if slots else begin
        return torch.searchsorted(begin, last.expand(*begin.shape[:-1], -1).contiguous(), right=True)
    used = entries >= 0
    end = lists.bounds.first + torch.arange(1, entries.shape[2] + 1, device=device)[:, None] * shape.tile
    if lists.bounds.causal:
        used = used & (entries * shape.block < end)
    if lists.since is not None:
        used = used & (lists.since < end)
    ends = (used * torch.arange(1, slots + 1, device=device)).amax(-1) if slots else used.sum(-1)
    return ends.repeat_interleave(shape.blocks_of_tile, -1)


def _power(x: int) -> int:
    return 1 << max(0, x - 1).bit_length()
