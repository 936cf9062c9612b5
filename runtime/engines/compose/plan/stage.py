"""Stages: batches of equal dense blocks, each with its mask, or diagonals. One after the other adds to the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from .block import Block
from .diagonal import Diagonals
from .place import Place
from .tiles import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """A mask as the kernel takes it: 0 or -inf [rows, keys]. ``dead`` [rows]: rows without a key, where there are."""

    added: Tensor
    dead: Tensor | None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of blocks. ``fresh``: no earlier one touches its rows, whose output it writes."""

    block: Block
    fresh: bool
    bias: Bias | None

    @property
    def written(self) -> int:
        """How many rows have their first output of it."""
        tiles = self.block.tiles
        return tiles.rows * tiles.count * self.block.classes if self.fresh else 0


@dataclass(frozen=True, slots=True)
class Stage:
    """Batches whose queries and keys are in the same places."""

    query: Place
    key: Place
    batches: tuple[Batch, ...]

    @property
    def runs(self) -> int:
        """Batches of equal blocks: of tiles that grow each is one."""
        return sum(batch.block.tiles.runs for batch in self.batches)


_EIGHT = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
_ADDED = np.where(_EIGHT, np.float32(0), np.float32(-np.inf)).view("V32").ravel()
"""[256]: what eight pairs are added, by the bits of their mask: 0, or -inf where one is not kept."""

Stages: TypeAlias = tuple[Stage | Diagonals, ...]


class Biases:
    """Makes the biases of one plan; equal masks share one, and are held once."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._made: dict[tuple[tuple[int, ...], bytes], tuple[Mask, Bias]] = {}
        self._last: tuple[Mask, tuple[Mask, Bias]] | None = None  # batches of one period follow each other

    def batch(self, block: Block, *, fresh: bool) -> Batch:
        """A batch of blocks, with the mask that it shares."""
        if block.mask is None:
            return Batch(block, fresh, None)
        mask, bias = self._shared(block.mask)
        return Batch(block if mask is block.mask else replace(block, mask=mask), fresh, bias)

    def _shared(self, mask: Mask) -> tuple[Mask, Bias]:
        if self._last is None or self._last[0] is not mask:
            self._last = mask, self._found(mask)
        return self._last[1]

    def _found(self, mask: Mask) -> tuple[Mask, Bias]:
        bits = np.packbits(mask)
        key = mask.shape, bits.tobytes()
        if key not in self._made:
            # By numpy: each of torch's operations would wake all threads. To choose pair by pair takes it ten times as
            # long.
            filled = _ADDED.take(bits, mode="clip").view(np.float32)[: mask.size].reshape(mask.shape)
            added = torch.from_numpy(filled).to(self._dtype)
            dead = ~mask.any(axis=1)
            self._made[key] = mask, Bias(added, torch.from_numpy(dead) if dead.any() else None)
        return self._made[key]

    @property
    def held(self) -> int:
        """Bytes of all biases."""
        return sum(bias.added.nbytes for _, bias in self._made.values())
