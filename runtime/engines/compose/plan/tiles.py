"""Tiles: evenly spaced blocks of ranks; and masks, of the pairs that they keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .....compiler.relations.affine import Box

Mask = NDArray[np.bool_]


LANES = 16
"""Keys under a mask are a multiple of this, where that many are there: of the scores of a row torch's kernel takes what
is left over one by one, and 15 cost as much as 100 others."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Evenly spaced blocks of ranks: tile t is queries row + t*row_step .. + rows, keys key + t*key_step .. + keys."""

    row: int
    rows: int
    row_step: int
    key: int
    keys: int
    key_step: int
    count: int

    def part(self, start: int, count: int) -> Tiles:
        """``count`` tiles from tile ``start``."""
        row, key = self.row + start * self.row_step, self.key + start * self.key_step
        return Tiles(row, self.rows, self.row_step, key, self.keys, self.key_step, count)

    def even(self, growth: int) -> Iterator[Tiles]:
        """Tiles of which each has ``growth`` keys more than the one before: one by one; one that has no key is left
        out."""
        if not growth:
            yield self
            return
        for t in range(self.count):
            keys = self.keys + t * growth
            if keys > 0:
                row, key = self.row + t * self.row_step, self.key + t * self.key_step
                yield Tiles(row, self.rows, self.row_step, key, keys, self.key_step, 1)

    def spread(self, every: int) -> Tiles:
        """As many tiles, of which each is so many steps after the one before."""
        row_step, key_step = every * self.row_step, every * self.key_step
        return Tiles(self.row, self.rows, row_step, self.key, self.keys, key_step, self.count)

    def inner(self, row: int, rows: int, key: int, keys: int) -> Tiles:
        """So many rows and keys of each tile, from these on."""
        return Tiles(self.row + row, rows, self.row_step, self.key + key, keys, self.key_step, self.count)

    @property
    def pairs(self) -> int:
        return self.rows * self.keys * self.count

    def box(self) -> Box:
        """The ranks that occur."""
        rows, keys = (self.count - 1) * self.row_step + self.rows, (self.count - 1) * self.key_step + self.keys
        return {"a": (self.row, self.row + rows - 1), "b": (self.key, self.key + keys - 1)}


def cut_off(tiles: Tiles, mask: Mask) -> tuple[Tiles, Mask | None] | None:
    """As ``masked``, of a mask [rows, keys]: rows and keys that no tile of the run uses are cut off."""
    rows, keys = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(keys[0]), int(keys[-1]) + 1
    full = bool(mask[top:bottom, left:right].all())
    if not full:
        left, right = in_lanes(left, right, tiles.keys)
    cut = tiles.inner(top, bottom - top, left, right - left)
    return cut, None if full else mask[top:bottom, left:right].copy()


def in_lanes(left: int, right: int, keys: int) -> tuple[int, int]:
    """The range with as many more of so many keys, earlier ones first, that it is whole lanes; as it is where there are
    too few."""
    more = (left - right) % LANES
    down = min(left, more)
    return (left - down, right + more - down) if right + more - down <= keys else (left, right)


def equal(one: Mask | None, two: Mask | None) -> bool:
    """Whether two masks keep the same pairs; None keeps every one."""
    return one is two or (one is not None and two is not None and np.array_equal(one, two))
