"""Ranks as memory: the tensors of a batch of blocks as strided views, without a copy.

Where the tokens of an order are evenly spaced, a class is a strided view of the tensor itself; a packed order is
gathered once and is then evenly spaced too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from ....compiler.passes.program import Order
from .blocks import Block
from .combs import Comb, few_combs
from .token_table import TokenTable


class Room:
    """Memory that is written again and again, by one stage after another: new memory is new pages of the system, which
    take longer than what is copied into them."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def of(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Contiguous, with any numbers; what was given before is no longer to be read."""
        size = math.prod(shape)
        if self._memory.dtype != dtype or len(self._memory) < size:
            self._memory = torch.empty(size, dtype=dtype)
        return self._memory[:size].view(shape)


@dataclass(frozen=True)
class Side:
    """An order in a sequence of length n."""

    order: Order
    n: int

    @property
    def moved(self) -> int:
        """How many tokens are taken out of their order."""
        return self.order.ranks(0, self.n) if self.order.count > 1 else 0

    def take(self, x: Tensor, room: Room | None = None) -> Tensor:
        """The tensor [B, H, N, ...] that ranks are evenly spaced in: x itself, or its packed tokens, copied."""
        if self.order.count == 1:
            return x
        # Ranks of a tiled order that have no token are zero: no mask keeps them, and no row of theirs is put back.
        packed = x.new_zeros(*x.shape[:2], self.order.ranks(0, self.n), *x.shape[3:])
        for own, gathered in self._pieces(x, packed):
            gathered.copy_(own)
        if (rest := self._rest()) is not None:
            packed[:, :, rest[0]] = x[:, :, rest[1]]
        return packed

    def put_back(self, x: Tensor, taken: Tensor) -> None:
        """Write what was taken, and changed, back into the tensor that it came from."""
        if self.order.count > 1:
            for own, gathered in self._pieces(x, taken):
                own.copy_(gathered)
            if (rest := self._rest()) is not None:
                x[:, :, rest[1]] = taken[:, :, rest[0]]

    def _pieces(self, x: Tensor, packed: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of x and of its packed tokens that correspond: the full periods, and the rest of the last one."""
        order, step = self.order, x.stride(2)
        full, rest = divmod(order.whole(0, self.n), order.count)
        digits = [*reversed(order.digits or ((order.count, 1),))]
        strides = (*x.stride()[:2], step * order.period, *(step * stride for _, stride in digits), *x.stride()[3:])
        shape = (*x.shape[:2], full, *(extent for extent, _ in digits), *x.shape[3:])
        own = x.as_strided(shape, strides, x.storage_offset() + step * order.start)
        yield own, packed[:, :, : full * order.count].view(own.shape)
        if rest:
            first = order.period * full + order.start
            yield x[:, :, first : first + rest], packed[:, :, full * order.count :]

    def _rest(self) -> tuple[Tensor, Tensor] | None:
        """The ranks of the last period of a tiled order that have a token, where some do not, and their tokens."""
        order, whole = self.order, self.order.whole(0, self.n)
        if whole == order.ranks(0, self.n):
            return None
        tokens = torch.tensor([order.token(0, whole + rest) for rest in range(order.count)])
        ranks = torch.arange(whole, whole + order.count)
        return ranks[tokens < self.n], tokens[tokens < self.n]

    def spacing(self) -> tuple[int, int, int]:
        """token = first + class * class_step + rank * rank_step, in what ``take`` returns."""
        return (self.order.start, 1, self.order.period) if self.order.count == 1 else (0, 0, 1)


@dataclass(frozen=True, eq=False)
class Gathered:
    """Any tokens, taken together."""

    index: Tensor  # int64, ascending

    def take(self, x: Tensor, room: Room | None = None) -> Tensor:
        """[B, H, len(index), ...] of a tensor [B, H, N, ...], copied; into ``room``, where it is given."""
        shape = *x.shape[:2], len(self.index), *x.shape[3:]
        taken = x.new_empty(shape) if room is None else room.of(shape, x.dtype)
        self.take_into(taken, x)
        return taken

    def take_into(self, taken: Tensor, x: Tensor) -> None:
        """Fill what ``take`` returns, which is contiguous."""
        if self.slices is not None:
            torch.cat([x[:, :, each] for each in self.slices], dim=2, out=taken)
        elif self.combs is None:
            table = TokenTable.of(x)
            torch.index_select(table.rows, 0, table.of_heads(self.index), out=taken.view(-1, *x.shape[3:]))
        else:
            for own, gathered in self._pieces(x, taken):
                gathered.copy_(own)

    def put_back(self, x: Tensor, taken: Tensor) -> None:
        """Write [B, H, len(index), ...] to these tokens."""
        if self.combs is None:
            x.index_copy_(2, self.index, taken)
        else:
            for own, gathered in self._pieces(x, taken):
                own.copy_(gathered)

    def add(self, x: Tensor, taken: Tensor) -> None:
        """Add [B, H, len(index), ...] to these tokens."""
        if self.combs is None:
            table, part = TokenTable.of(x), taken.to(x.dtype).reshape(-1, *x.shape[3:])
            table.rows.index_add_(0, table.of_heads(self.index), part)
        else:
            for own, gathered in self._pieces(x, taken):
                own.add_(gathered)

    @cached_property
    def combs(self) -> tuple[Comb, ...] | None:
        """The tokens as combs, where these are few."""
        return few_combs(self.index.numpy())

    @cached_property
    def slices(self) -> tuple[slice, ...] | None:
        """The combs as slices, where they are such."""
        found = [comb.evenly for comb in self.combs or ()]
        return tuple(each for each in found if each is not None) if found and None not in found else None

    def spacing(self) -> tuple[int, int, int]:
        return (0, 0, 1)

    def _pieces(self, x: Tensor, taken: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of x and of what is taken that correspond, comb by comb."""
        first = 0
        for comb in self.combs or ():
            own, last = comb.view(x), first + comb.count * comb.size
            yield own, taken[:, :, first:last].view(own.shape)
            first = last


Place: TypeAlias = Side | Gathered
"""Where ranks are in memory."""


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
