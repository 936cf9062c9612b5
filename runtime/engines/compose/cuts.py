"""How the queries of a strip take their keys: in one block or in two, as a run of the sequence or gathered.

Keys that every query of the strip attends to need no mask. Where they are many, they are a block of their own, and the
rest is merged with it: that is weighed against one block with a mask for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .combs import few_combs
from .machine import Effort
from .masks import Mask, Tiles
from .price import Price

Columns = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cut:
    """One block of a strip: against the run of keys from the first of ``columns`` to the last, or against them alone.

    ``fresh``: the first block of its strip.
    """

    columns: Columns
    gathered: bool
    masked: bool
    fresh: bool

    @property
    def run(self) -> slice:
        return slice(int(self.columns[0]), int(self.columns[-1]) + 1)

    @property
    def keys(self) -> int:
        return len(self.columns) if self.gathered else self.run.stop - self.run.start


@dataclass(frozen=True, slots=True)
class Reached:
    """For each ``size`` queries of some rows, in order: the keys that any, and that all of them attend to."""

    size: int
    rows: int
    any: Mask  # [strips, keys]
    all: Mask

    @classmethod
    def of(cls, pairs: Mask, size: int) -> Reached:
        unions, intersections = [_reduced(pairs, size, how) for how in (np.bitwise_or, np.bitwise_and)]
        return cls(size, len(pairs), unions, intersections)

    def together(self, size: int) -> Reached:
        """For ``size`` queries, a multiple."""
        per = size // self.size
        return Reached(size, self.rows, _reduced(self.any, per, np.bitwise_or), _reduced(self.all, per, np.bitwise_and))

    def strips(self) -> Iterator[tuple[int, int, Columns, Columns]]:
        """(first query, queries, keys that any, keys that all attend to); strips without keys are left out."""
        for number, (some, every) in enumerate(zip(self.any, self.all, strict=True)):
            first = number * self.size
            if some.any():
                yield first, min(self.size, self.rows - first), np.flatnonzero(some), np.flatnonzero(every)


def _reduced(table: Mask, size: int, how: np.ufunc) -> Mask:
    bits = table.view(np.uint8)  # which numpy is quick to combine
    return np.stack([how.reduce(bits[row : row + size]) for row in range(0, len(bits), size)]).view(np.bool_)


def cuts(rows: int, some: Columns, every: Columns, price: Price) -> tuple[tuple[Cut, ...], Effort]:
    """The cheapest blocks for a strip of so many queries, and what they ask for."""
    masked = len(every) < len(some)
    options = [_cut(rows, some, price, masked=masked, fresh=True)]
    if masked and len(every):
        two = [_cut(rows, every, price, masked=False, fresh=True)]
        two.append(_cut(rows, np.setdiff1d(some, every, assume_unique=True), price, masked=True, fresh=False))
        options.append(((*two[0][0], *two[1][0]), Effort.total([two[0][1], two[1][1]])))
    return min(options, key=lambda option: price.seconds(option[1]))


def _cut(rows: int, columns: Columns, price: Price, *, masked: bool, fresh: bool) -> tuple[tuple[Cut, ...], Effort]:
    """Against a run, where that is cheaper or there is no mask to leave keys out of it; else gathered."""
    run = Cut(columns, gathered=False, masked=masked, fresh=fresh)
    options = [run]
    if run.keys > len(columns):
        few = replace(run, gathered=True)
        options = [run, few] if masked else [few]
    found = [(option, effort_of(rows, option, price)) for option in options]
    best, effort = min(found, key=lambda each: price.seconds(each[1]))
    return (best,), effort


def effort_of(rows: int, cut: Cut, price: Price) -> Effort:
    tiles = Tiles(0, rows, 0, 0, cut.keys, 0, 1)
    block = price.tiles(tiles, masked=cut.masked, fresh=cut.fresh)
    if not cut.gathered:
        return block
    return Effort.total([block, price.gathered(0, cut.keys, in_runs=few_combs(cut.columns) is not None)])


def mask_of(pairs: Mask, cut: Cut, every: Sequence[int] | Columns) -> Mask | None:
    """bool [rows, keys] for the rows of a strip, of the keys that the cut takes; None where it has no mask.

    Of the second block of a strip, keys of the first, ``every``, are masked out.
    """
    if not cut.masked:
        return None
    # Row by row: numpy picks columns into a column-major array, of which the kernel reads a mask at half its speed.
    mask = np.array(pairs[:, cut.columns] if cut.gathered else pairs[:, cut.run], order="C")
    if not cut.fresh and not cut.gathered:
        inside = np.asarray(every)
        inside = inside[(inside >= cut.run.start) & (inside < cut.run.stop)]
        mask[:, inside - cut.run.start] = False
    return mask
