"""The views of a batch of blocks: strided, without a copy.

Where the tokens of an order are evenly spaced, a class is a strided view of the tensor itself; a packed order is
gathered once and is then evenly spaced too.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..plan.block import Block
from ..plan.place import Place


@dataclass(frozen=True)
class BlockViews:
    """The views of one batch of blocks: query-side and key-side tensors share their batch dims, which are those of
    (batch, key head, query head of a group, class, tile) that the batch has more than one of, and always the first two.
    """

    query: Place
    key: Place
    block: Block
    groups: int  # query heads per key head

    def queries(self, x: Tensor) -> Tensor:
        tiles = self.block.tiles
        return self._view(x, self.query, self.groups, self.block.first_class, tiles.row, tiles.rows, tiles.row_step)

    def keys(self, x: Tensor) -> Tensor:
        tiles = self.block.tiles
        own = self._view(x, self.key, 1, self.block.key_class, tiles.key, tiles.keys, tiles.key_step)
        if self.groups == 1:
            return own
        own = own.unsqueeze(2)
        return own.expand(*own.shape[:2], self.groups, *own.shape[3:])

    def add_to_keys(self, target: Tensor, part: Tensor) -> None:
        """Add key gradients [..., keys, D] of the batch; tiles whose key ranges overlap are added slice by slice."""
        if self.groups > 1:
            part = part.sum(dim=2)  # query heads of a group share their keys
        tiles = self.block.tiles
        if tiles.count == 1 or tiles.key_step >= tiles.keys:
            sizes = [(0, tiles.keys)]
        elif tiles.key_step == 0:  # all tiles have the same keys
            part, tiles = part.sum(dim=-3), tiles.part(0, 1)
            sizes = [(0, tiles.keys)]
        else:
            step = tiles.key_step
            sizes = [(first, min(step, tiles.keys - first)) for first in range(0, tiles.keys, step)]
        for first, size in sizes:
            own = self._view(
                target, self.key, 1, self.block.key_class, tiles.key + first, size, tiles.key_step, tiles.count
            )
            own.add_(part[..., first : first + size, :])

    def _view(
        self, x: Tensor, place: Place, groups: int, cls: int, first: int, size: int, step: int, tiles: int | None = None
    ) -> Tensor:
        """x [B, H, N, D] as [B, H / groups, (groups), (classes), (tiles), size, D]."""
        start, class_step, rank_step = place.spacing()
        count = self.block.tiles.count if tiles is None else tiles
        if groups == self.block.classes == count == rank_step == 1:  # most often so, and in little Python
            return x.narrow(2, start + cls * class_step + first, size)
        batch, head, token, feature = x.stride()
        rank = token * rank_step
        shape, strides = [x.shape[0], x.shape[1] // groups], [batch, head * groups]
        for many, stride in ((groups, head), (self.block.classes, token * class_step), (count, rank * step)):
            if many > 1:
                shape.append(many)
                strides.append(stride)
        return x.as_strided(
            (*shape, size, x.shape[3]),
            (*strides, rank, feature),
            x.storage_offset() + token * (start + cls * class_step) + rank * first,
        )
