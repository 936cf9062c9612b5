"""Summaries of a text that grows by tokens: a block that is complete never changes, so what was made of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..growing import Growing
from .selection import Selection, changed


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """Of the queries from ``first`` on, in blocks up to the one that begins at ``last``."""

    first: int
    last: int
    selection: Selection


@dataclass(slots=True, eq=False)
class Kept:
    """By name and size of the blocks. Blocks are counted from the first token of each element, which stands at
    ``starts`` int [B] in the model, None: at 0; ``latest``: the last of these. ``complete``: how many tokens all
    elements have. ``choices``: the latest of each reader."""

    blocks: dict[tuple[str, int], Growing] = field(default_factory=dict)
    choices: dict[str, _Choice] = field(default_factory=dict)
    starts: Tensor | None = None
    latest: int = 0
    complete: int = 0

    def begin(self, starts: Tensor | None, latest: int, complete: int) -> None:
        """A call in which elements start so, and have at least ``complete`` tokens."""
        moved = self.latest or latest  # a look at the tensors would stop a device's stream
        if moved and (self.starts is None or starts is None or not torch.equal(self.starts, starts)):
            self.blocks, self.choices = {}, {}  # tokens are counted otherwise
        self.starts, self.latest, self.complete = starts, latest, complete

    def crop(self, tokens: int) -> None:
        """To so many tokens of the model."""
        left = tokens - self.latest
        self.blocks = {key: one for key, one in self.blocks.items() if one.query is None or one.query < left}
        for (_, block), known in self.blocks.items():
            known.crop(left // block)
        self.choices = {name: one for name, one in self.choices.items() if one.last < left}

    def change(self, change: Callable[[Tensor], Tensor]) -> None:
        for known in self.blocks.values():
            known.change(change)
        for name, one in self.choices.items():
            self.choices[name] = replace(one, selection=changed(one.selection, change))
        if self.starts is not None:
            self.starts = change(self.starts)


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What one reader keeps, under its own name; attention itself has none."""

    kept: Kept
    name: str = ""

    def made(
        self, name: str, block: int, count: int, make: Callable[[int], Tensor], query: int | None = None
    ) -> Tensor:
        """[B, ..., count, D] of the first ``count`` blocks, those that were complete before from memory;
        ``make(first)`` gives those from ``first`` on. ``query``: of another all is made anew."""
        key = (f"{self.name}.{name}", block)
        known = self.kept.blocks.get(key)
        if known is None or known.query != query:
            found = make(0)
            known = Growing(found, query)
            if query is None or query < self.kept.complete:  # it has arrived in all elements
                self.kept.blocks[key] = known
        elif known.count == count:
            return known.tensor
        else:
            found = known.put(make(known.count))
        # What is not complete is made anew next time, in the same room.
        known.count = min(count, self.kept.complete // block)
        return found

    def chosen(self, first: int, last: int, make: Callable[[], Selection]) -> Selection:
        """Of the queries from ``first`` on, in blocks up to the one that begins at ``last``: a block chooses when its
        first token arrives, and no later one changes that."""
        known = self.kept.choices.get(self.name)
        if known is not None and (known.first, known.last) == (first, last):
            return known.selection
        found = make()
        if last < self.kept.complete:  # the last block has begun in all elements
            self.kept.choices[self.name] = _Choice(first, last, found)
        return found
