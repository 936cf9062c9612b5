"""How the queries of a strip take their keys: in one block or in two, as a run of the sequence or gathered.

Keys that every query of the strip attends to need no mask. Where they are many, they are a block of their own, and the
rest is merged with it: that is weighed against one block with a mask for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..plan.effort import Effort
from ..plan.tiles import LANES, Mask, Tiles, in_lanes
from ..pricing.price import Price

Columns = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cut:
    """One block of a strip: against a run of keys, or against some ``columns`` alone, gathered.

    ``fresh``: the first block of its strip.
    """

    run: slice
    columns: Columns | None
    masked: bool
    fresh: bool

    @property
    def keys(self) -> int:
        return self.run.stop - self.run.start if self.columns is None else len(self.columns)


_Choice: TypeAlias = tuple[tuple[Cut, ...], Effort]


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


def cuts(rows: int, some: Columns, every: Columns, nk: int, price: Price) -> _Choice:
    """The cheapest blocks for a strip of so many queries, of nk keys, and what they ask for."""
    if len(every) == len(some):
        return _cut(rows, some, price, fresh=True)
    options = [_masked(rows, some, some, nk, price, fresh=True)]
    if len(every):
        full, rest = _cut(rows, every, price, fresh=True), np.setdiff1d(some, every, assume_unique=True)
        edge = _masked(rows, rest, some, nk, price, fresh=False)
        options.append(((*full[0], *edge[0]), Effort.total([full[1], edge[1]])))
    return min(options, key=lambda option: price.seconds(option[1]))


def _cut(rows: int, columns: Columns, price: Price, *, fresh: bool) -> _Choice:
    """Without a mask."""
    run = _run(columns)
    cut = Cut(run, None if run.stop - run.start == len(columns) else columns, masked=False, fresh=fresh)
    return (cut,), effort_of(rows, cut, price)


def _masked(rows: int, columns: Columns, some: Columns, nk: int, price: Price, *, fresh: bool) -> _Choice:
    """Against a run, or gathered, where that is cheaper; none but ``columns`` of the keys ``some`` are kept."""
    found = _run(columns)
    run = Cut(slice(*in_lanes(found.start, found.stop, nk)), None, masked=True, fresh=fresh)
    options = [run]
    if found.stop - found.start > len(columns):
        options.append(replace(run, columns=_in_lanes(columns, some, nk)))
    priced = [(option, effort_of(rows, option, price)) for option in options]
    best, effort = min(priced, key=lambda each: price.seconds(each[1]))
    return (best,), effort


def _run(columns: Columns) -> slice:
    return slice(int(columns[0]), int(columns[-1]) + 1)


def _in_lanes(columns: Columns, some: Columns, nk: int) -> Columns:
    """With as many more of nk keys, none of ``some``, that they are whole lanes; as they are where too few are left."""
    more = -len(columns) % LANES
    others = np.ones(nk, dtype=np.bool_)
    others[some] = False
    added = np.flatnonzero(others)[:more]
    return np.union1d(columns, added) if len(added) == more else columns


def effort_of(rows: int, cut: Cut, price: Price) -> Effort:
    tiles = Tiles(0, rows, 0, 0, cut.keys, 0, 1)
    block = price.tiles(tiles, masked=cut.masked, fresh=cut.fresh)
    if cut.columns is None:
        return block
    return Effort.total([block, price.taken_again(cut.keys)])


def mask_of(pairs: Mask, cut: Cut, every: Columns) -> Mask | None:
    """bool [rows, keys] for the rows of a strip, of the keys that the cut takes; None where it has no mask.

    Of the second block of a strip, keys of the first, ``every``, are masked out.
    """
    if not cut.masked:
        return None
    # Row by row: numpy picks columns into a column-major array, of which the kernel reads a mask at half its speed.
    mask = np.array(pairs[:, cut.run if cut.columns is None else cut.columns], order="C")
    if not cut.fresh and cut.columns is None:
        inside = every[(every >= cut.run.start) & (every < cut.run.stop)]
        mask[:, inside - cut.run.start] = False
    return mask
