"""A batch of equal dense blocks, and its portions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .tiles import Mask, Tiles


@dataclass(frozen=True, slots=True)
class Block:
    """A batch of dense blocks of one term, one per class and tile.

    ``mask`` is bool [rows, keys], the same for all; None means all pairs, as it does of tiles with a growth.
    """

    first_class: int  # of the queries
    key_class: int  # that belongs to it; the others follow
    classes: int
    tiles: Tiles
    mask: Mask | None = None
    triangle: bool = False  # key k of row r only where k <= r

    def even(self) -> Iterator[Block]:
        """The batch as batches without growth."""
        return (replace(self, tiles=tiles) for tiles in self.tiles.even()) if self.tiles.growth else iter((self,))

    def portions(self, size: int) -> Iterator[Block]:
        """The batch, which has no growth, as batches of up to ``size`` blocks, where one class or tile has no more."""
        tiles = self.tiles
        if tiles.count >= self.classes:
            step = max(1, size // self.classes)
            for first in range(0, tiles.count, step):
                yield replace(self, tiles=tiles.part(first, min(step, tiles.count - first)))
            return
        step = max(1, size // tiles.count)
        for first in range(0, self.classes, step):
            count = min(step, self.classes - first)
            yield replace(self, first_class=self.first_class + first, key_class=self.key_class + first, classes=count)
