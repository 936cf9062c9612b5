"""Tensors of a text that grows token by token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Growing:
    """x [B, ..., N, D] that grows at the end: where that is safe in spare room, so that a step does not copy what is
    there. What was given out before stays as it is, up to ``count`` tokens of it. ``query``: of which it tells."""

    def __init__(self, x: Tensor, query: int | None = None) -> None:
        self.room, self.own, self.query = x, False, query
        self.count = x.shape[-2]

    @property
    def tensor(self) -> Tensor:
        return self.room[..., : self.count, :]

    def put(self, new: Tensor) -> Tensor:
        """Behind the ``count`` tokens, in the place of what may lie there; gives all of it."""
        last = self.count + new.shape[-2]
        if not self._fits(new, last):
            spare = 0 if torch.is_grad_enabled() else last // 4 + 64
            parts = [self.tensor, new, new.new_empty(*new.shape[:-2], spare, new.shape[-1])]
            self.room, self.own = torch.cat(parts, -2), spare > 0
        else:
            self.room[..., self.count : last, :] = new
        self.count = last
        return self.tensor

    def crop(self, count: int) -> None:
        """To so many tokens. Those behind may still be in someone's hands: their room is not used again."""
        if count < self.count:
            self.count, self.own = max(0, count), False

    def change(self, change: Callable[[Tensor], Tensor]) -> None:
        """Of the batch, or the device."""
        self.room, self.own = change(self.tensor), False

    def _fits(self, new: Tensor, last: int) -> bool:
        room = self.room
        return (
            self.own
            and not torch.is_grad_enabled()
            and last <= room.shape[-2]
            and (new.dtype, *new.shape[:-2], new.shape[-1]) == (room.dtype, *room.shape[:-2], room.shape[-1])
            and (torch.is_inference_mode_enabled() or not room.is_inference())
        )
