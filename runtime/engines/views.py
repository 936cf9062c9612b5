"""Ranks as memory: the tensors of a batch of blocks as strided views, without a copy.

Where the tokens of an order are evenly spaced, a class is a strided view of the tensor itself; a packed order is
gathered once and is then evenly spaced too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.passes.program import Order
from . import flash
from .blocks import Block


@dataclass(frozen=True)
class Side:
    """An order in a sequence of length n."""

    order: Order
    n: int

    def take(self, x: Tensor) -> Tensor:
        """The tensor [B, H, N, ...] that ranks are evenly spaced in: x itself, or its packed tokens, copied."""
        if self.order.count == 1:
            return x
        packed = x.new_empty(*x.shape[:2], self.order.ranks(0, self.n), *x.shape[3:])
        for own, gathered in self._pieces(x, packed):
            gathered.copy_(own)
        return packed

    def put_back(self, x: Tensor, taken: Tensor) -> None:
        """Write what was taken, and changed, back into the tensor that it came from."""
        if self.order.count > 1:
            for own, gathered in self._pieces(x, taken):
                own.copy_(gathered)

    def _pieces(self, x: Tensor, packed: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of x and of its packed tokens that correspond: the full periods, and the rest of the last one."""
        order, ranks = self.order, packed.shape[2]
        full, rest = divmod(ranks, order.count)
        step = x.stride(2)
        strides = (*x.stride()[:2], step * order.period, step, *x.stride()[3:])
        own = x.as_strided(
            (*x.shape[:2], full, order.count, *x.shape[3:]), strides, x.storage_offset() + step * order.start
        )
        yield own, packed[:, :, : full * order.count].view(own.shape)
        if rest:
            first = order.period * full + order.start
            yield x[:, :, first : first + rest], packed[:, :, full * order.count :]

    def spacing(self) -> tuple[int, int, int]:
        """token = first + class * class_step + rank * rank_step, in what ``take`` returns."""
        return (self.order.start, 1, self.order.period) if self.order.count == 1 else (0, 0, 1)


def _view(
    x: Tensor, side: Side, groups: int, cls: int, classes: int, first: int, size: int, step: int, tiles: int
) -> Tensor:
    """x [B, H, N, D] as [B, H / groups, groups, classes, tiles, size, D]."""
    batch, head, token, feature = x.stride()
    start, class_step, rank_step = side.spacing()
    rank = token * rank_step
    return x.as_strided(
        (x.shape[0], x.shape[1] // groups, groups, classes, tiles, size, x.shape[3]),
        (batch, head * groups, head, token * class_step, rank * step, rank, feature),
        x.storage_offset() + token * (start + cls * class_step) + rank * first,
    )


@dataclass(frozen=True)
class BlockViews:
    """The views of one batch of blocks: query-side and key-side tensors share their batch dims."""

    query: Side
    key: Side
    block: Block
    groups: int  # query heads per key head

    def queries(self, x: Tensor) -> Tensor:
        b, t = self.block, self.block.tiles
        return _view(x, self.query, self.groups, b.first_class, b.classes, t.row, t.rows, t.row_step, t.count)

    def keys(self, x: Tensor) -> Tensor:
        tiles = self.block.tiles
        return self._own_keys(x, tiles.count, 0, tiles.keys).expand(-1, -1, self.groups, -1, -1, -1, -1)

    def add_to_keys(self, target: Tensor, part: Tensor) -> None:
        """Add key gradients [..., keys, D] of the batch; tiles whose key ranges overlap are added slice by slice."""
        part = part.sum(dim=2, keepdim=True)  # query heads of a group share their keys
        tiles = self.block.tiles
        if tiles.key_step == 0:  # all tiles have the same keys
            self._own_keys(target, 1, 0, tiles.keys).add_(part.sum(dim=4, keepdim=True))
            return
        for first in range(0, tiles.keys, tiles.key_step):
            size = min(tiles.key_step, tiles.keys - first)
            own = self._own_keys(target, tiles.count, first, size)
            own.add_(part[..., first : first + size, :])

    def _own_keys(self, x: Tensor, tiles: int, first: int, size: int) -> Tensor:
        b, t = self.block, self.block.tiles
        return _view(x, self.key, 1, b.key_class, b.classes, t.key + first, size, t.key_step, tiles)

    def bias(self, like: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The additive mask, expanded to the batch of ``like`` [..., rows, D], and which rows have no key at all."""
        if self.block.mask is None:
            return None, None
        mask = torch.from_numpy(self.block.mask)
        dead = ~mask.any(dim=-1)
        return flash.bias(mask, like.dtype).expand(*like.shape[:-2], -1, -1), dead if bool(dead.any()) else None
