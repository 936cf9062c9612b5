"""Summaries of a text that grows by tokens: a block that is complete never changes, so what was made of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


class Growing:
    """x [B, ..., N, D] that grows at the end: where that is safe in spare room, so that a step does not copy what is
    there. What was given out before stays as it is, up to ``count`` tokens of it."""

    def __init__(self, x: Tensor) -> None:
        self.room, self.own = x, False
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


@dataclass(slots=True, eq=False)
class Kept:
    """By name and size of the blocks. Blocks are counted from the first token of each element, which stands at
    ``starts`` int [B] in the model, None: at 0; ``latest``: the last of these. ``complete``: how many tokens all
    elements have."""

    blocks: dict[tuple[str, int], Growing] = field(default_factory=dict)
    starts: Tensor | None = None
    latest: int = 0
    complete: int = 0

    def begin(self, starts: Tensor | None, latest: int, complete: int) -> None:
        """A call in which elements start so, and have at least ``complete`` tokens."""
        moved = self.latest or latest  # a look at the tensors would stop a device's stream
        if moved and (self.starts is None or starts is None or not torch.equal(self.starts, starts)):
            self.blocks = {}  # tokens are counted otherwise
        self.starts, self.latest, self.complete = starts, latest, complete

    def made(self, name: str, block: int, make: Callable[[int], Tensor]) -> Tensor:
        """[B, ..., blocks, D] of all blocks, those that were complete before from memory; ``make(first)`` gives those
        from ``first`` on."""
        known = self.blocks.get((name, block))
        if known is None:
            found = make(0)
            self.blocks[name, block] = known = Growing(found)
        else:
            found = known.put(make(known.count))
        # What is not complete is made anew next time, in the same room.
        known.count = min(known.count, self.complete // block)
        return found

    def crop(self, tokens: int) -> None:
        """To so many tokens of the model."""
        for (_, block), known in self.blocks.items():
            known.crop((tokens - self.latest) // block)

    def change(self, change: Callable[[Tensor], Tensor]) -> None:
        for known in self.blocks.values():
            known.change(change)
        if self.starts is not None:
            self.starts = change(self.starts)


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What one reader keeps, under its own name; attention itself has none."""

    kept: Kept
    name: str = ""

    def made(self, name: str, block: int, make: Callable[[int], Tensor]) -> Tensor:
        return self.kept.made(f"{self.name}.{name}", block, make)
