"""Tiles: evenly spaced blocks of ranks; and masks, of the pairs that they keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .....compiler.relations.affine import Box, Spaced

Mask = NDArray[np.bool_]


LANES = 16
"""Keys under a mask are a multiple of this, where that many are there: of the scores of a row torch's kernel takes what
is left over one by one, and 15 cost as much as 100 others."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Evenly spaced blocks of ranks: tile t is queries row + t*row_step .. + rows, keys key + t*key_step .. + keys,
    and with a growth as many more keys, or fewer, as t*growth. Each has a key."""

    row: int
    rows: int
    row_step: int
    key: int
    keys: int
    key_step: int
    count: int
    growth: int = 0

    def part(self, start: int, count: int) -> Tiles:
        """``count`` tiles from tile ``start``."""
        row, key = self.row + start * self.row_step, self.key + start * self.key_step
        keys, growth = self.keys + start * self.growth, self.growth if count > 1 else 0
        return Tiles(row, self.rows, self.row_step, key, keys, self.key_step, count, growth)

    def first_of_each(self, rows: int, keys: int) -> Tiles:
        """So many rows and keys of each tile; those that grow, grow as they do."""
        return Tiles(self.row, rows, self.row_step, self.key, keys, self.key_step, self.count, self.growth)

    def even(self) -> Iterator[Tiles]:
        """The same in runs without growth."""
        return (self.part(tile, 1) for tile in range(self.count)) if self.growth else iter((self,))

    @property
    def runs(self) -> int:
        """How many those are."""
        return self.count if self.growth else 1

    def spread(self, every: int) -> Tiles:
        """As many tiles, of which each is so many steps after the one before."""
        row_step, key_step, growth = every * self.row_step, every * self.key_step, every * self.growth
        return Tiles(self.row, self.rows, row_step, self.key, self.keys, key_step, self.count, growth)

    def inner(self, row: int, rows: int, key: int, keys: int) -> Tiles:
        """So many rows and keys of each tile, from these on."""
        return Tiles(self.row + row, rows, self.row_step, self.key + key, keys, self.key_step, self.count)

    @property
    def pairs(self) -> int:
        return self.rows * self.count * (2 * self.keys + (self.count - 1) * self.growth) // 2

    @property
    def begins(self) -> tuple[int, int]:
        """The first query and the first key that occur."""
        return self.row, self.key + min(0, (self.count - 1) * self.key_step)

    @property
    def ends(self) -> tuple[int, int]:
        """One past the last query and the last key that occur."""
        last = self.count - 1
        key = self.key + self.keys + max(0, last * (self.key_step + self.growth))
        return self.row + last * self.row_step + self.rows, key

    def box(self) -> Box:
        """The ranks that occur."""
        (first_row, first_key), (row, key) = self.begins, self.ends
        return {"a": (first_row, row - 1), "b": (first_key, key - 1)}

    def spaced(self) -> dict[str, Spaced]:
        """How these ranks come again."""
        sides = ("a", self.row, self.rows, self.row_step), ("b", self.key, self.keys, self.key_step)
        return {name: Spaced(first, size, step) for name, first, size, step in sides if step and not self.growth}


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
