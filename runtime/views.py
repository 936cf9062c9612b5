"""Ranks as memory: the tensors of a batch of blocks as strided views, without a copy.

Where the tokens of an order are evenly spaced, a class is a strided view of the tensor itself; a packed order is
gathered once and is then evenly spaced too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..compiler.program import Order
from . import flash
from .blocks import Block


@dataclass(frozen=True)
class _Axis:
    """Where a rank lies: token = base + class * class_step + rank * rank_step, in a tensor that may be gathered."""

    base: int
    class_step: int
    rank_step: int


@dataclass(frozen=True)
class Side:
    """One order at one length: the tokens to gather, or None where ranks are evenly spaced, and the axis."""

    axis: _Axis
    tokens: Tensor | None

    def take(self, x: Tensor) -> Tensor:
        """The tensor [B, H, N, ...] that ``axis`` counts in."""
        return x if self.tokens is None else x.index_select(2, self.tokens)

    def put_back(self, x: Tensor, taken: Tensor) -> None:
        """Write what was taken, and changed, back into the tensor that it came from."""
        if self.tokens is not None:
            x.index_copy_(2, self.tokens, taken)


def side(order: Order, n: int) -> Side:
    """An order in a sequence of length n."""
    if order.count == 1:
        return Side(_Axis(order.start, 1, order.period), None)
    ranks = torch.arange(order.ranks(0, n))
    return Side(_Axis(0, 0, 1), order.period * (ranks // order.count) + order.start + ranks % order.count)


def _view(
    x: Tensor, groups: int, axis: _Axis, cls: tuple[int, int], first: int, size: int, step: int, tiles: int
) -> Tensor:
    """x [B, H, N, D] as [B, H / groups, groups, classes, tiles, size, D]."""
    batch, head, token, feature = x.stride()
    rank = token * axis.rank_step
    offset = axis.base + cls[0] * axis.class_step + first * axis.rank_step
    return x.as_strided(
        (x.shape[0], x.shape[1] // groups, groups, cls[1], tiles, size, x.shape[3]),
        (batch, head * groups, head, token * axis.class_step, rank * step, rank, feature),
        x.storage_offset() + token * offset,
    )


@dataclass(frozen=True)
class BlockViews:
    """The views of one batch of blocks: query-side and key-side tensors share their batch dims."""

    query: Side
    key: Side
    block: Block
    groups: int

    def queries(self, x: Tensor) -> Tensor:
        b = self.block
        return _view(x, self.groups, self.query.axis, b.classes, b.row, b.rows, b.row_step, b.tiles)

    def keys(self, x: Tensor) -> Tensor:
        return self._own_keys(x, self.block.tiles, 0, self.block.keys).expand(-1, -1, self.groups, -1, -1, -1, -1)

    def add_to_keys(self, target: Tensor, part: Tensor) -> None:
        """Add key gradients [..., keys, D] of the batch; tiles whose key ranges overlap are added slice by slice."""
        part = part.sum(dim=2, keepdim=True)  # query heads of a group share their keys
        step = self.block.key_step
        if step == 0:  # all tiles have the same keys
            self._own_keys(target, 1, 0, self.block.keys).add_(part.sum(dim=4, keepdim=True))
            return
        for first in range(0, self.block.keys, step):
            size = min(step, self.block.keys - first)
            own = self._own_keys(target, self.block.tiles, first, size)
            own.add_(part[..., first : first + size, :])

    def _own_keys(self, x: Tensor, tiles: int, first: int, size: int) -> Tensor:
        b = self.block
        return _view(x, 1, self.key.axis, (b.key_class, b.classes[1]), b.key + first, size, b.key_step, tiles)

    def bias(self, like: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The additive mask, expanded to the batch of ``like`` [..., rows, D], and which rows have no key at all."""
        if self.block.mask is None:
            return None, None
        mask = torch.from_numpy(self.block.mask)
        dead = ~mask.any(dim=-1)
        batch = like.shape[:-2]
        return flash.bias(mask, like.dtype).expand(*batch, -1, -1), dead if bool(dead.any()) else None
