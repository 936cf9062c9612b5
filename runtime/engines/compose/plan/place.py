"""Where ranks are in memory: in an order whose tokens are evenly spaced, which is a view, or gathered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .....compiler.passes.program import Order
from .combs import Comb, few_combs
from .token_table import TokenTable


class Scratch:
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


def _memory(x: Tensor, tokens: int, scratch: Scratch | None) -> Tensor:
    """[B, H, tokens, ...] for some of a tensor [B, H, N, ...], with any numbers."""
    shape = *x.shape[:2], tokens, *x.shape[3:]
    return x.new_empty(shape) if scratch is None else scratch.of(shape, x.dtype)


@lru_cache(maxsize=64)
def offsets(order: Order) -> NDArray[np.int64]:
    """The tokens of the first period, by rank."""
    return order.token(0, np.arange(order.count, dtype=np.int64))


@dataclass(frozen=True)
class Side:
    """An order in a sequence of length n."""

    order: Order
    n: int

    @property
    def moved(self) -> int:
        """How many tokens are taken out of their order."""
        return self.order.ranks(0, self.n) if self.order.count > 1 else 0

    def take(self, x: Tensor, scratch: Scratch | None = None) -> Tensor:
        """The tensor [B, H, N, ...] that ranks are evenly spaced in: x itself, or its packed tokens, copied; into
        ``scratch``, where it is given."""
        if self.order.count == 1:
            return x
        packed = _memory(x, self.order.ranks(0, self.n), scratch)
        for own, gathered in self._pieces(x, packed):
            gathered.copy_(own)
        if (rest := self._rest()) is not None:
            # Ranks without a token are zero: no mask keeps them, and no row of theirs is put back.
            packed[:, :, self.order.whole(0, self.n) :] = 0
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
        tokens = offsets(order) + whole // order.count * order.period
        there = np.flatnonzero(tokens < self.n)
        return torch.from_numpy(whole + there), torch.from_numpy(tokens[there])

    def spacing(self) -> tuple[int, int, int]:
        """token = first + class * class_step + rank * rank_step, in what ``take`` returns."""
        return (self.order.start, 1, self.order.period) if self.order.count == 1 else (0, 0, 1)


@dataclass(frozen=True, eq=False)
class Gathered:
    """Any tokens, taken together."""

    index: Tensor  # int64, ascending

    def take(self, x: Tensor, scratch: Scratch | None = None) -> Tensor:
        """[B, H, len(index), ...] of a tensor [B, H, N, ...], copied; into ``scratch``, where it is given."""
        taken = _memory(x, len(self.index), scratch)
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
