"""A mask as a grid of cells, small enough to draw: who owns each cell, and how full it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..relations.membership import Ints, Member

# Points tried per side of a cell that stands for more than one pair: an 8 x 8 sample shows a density to 2%.
_SAMPLES = 8


@dataclass(frozen=True)
class Grid:
    """``owner[row, column]`` is 0 for an empty cell, else 1 + the first step with a pair in it; ``density`` is the
    share of the cell's pairs that attend, in [0, 1]. In a cell that is ``open`` no pair attends for certain, and some
    could. ``exact`` says that each cell is one pair."""

    owner: npt.NDArray[np.uint8]
    density: npt.NDArray[np.float64]
    open: npt.NDArray[np.bool_]
    queries: int
    keys: int
    exact: bool

    @property
    def rows(self) -> int:
        return int(self.owner.shape[0])

    @property
    def columns(self) -> int:
        return int(self.owner.shape[1])


def grid(steps: Sequence[tuple[Member, Member]], queries: int, keys: int, limit: int) -> Grid:
    """Draw ``queries`` x ``keys`` pairs on at most ``limit`` x ``limit`` cells; of each step the pairs that attend
    whatever is selected, and those that could.

    A cell that stands for many pairs is sampled at fixed places, so that the picture of a pattern is always the same
    and a length of a million costs no more than one of a thousand.
    """
    cells_q, cells_k = min(queries, limit), min(keys, limit)
    rows, columns = _places(queries, cells_q), _places(keys, cells_k)
    shape = (cells_q, rows.shape[1], cells_k, columns.shape[1])
    owner = np.zeros((cells_q, cells_k), dtype=np.uint8)
    certain, possible = (np.zeros(shape, dtype=np.bool_) for _ in range(2))
    for whole, side in ((certain, 0), (possible, 1)):
        for number, members in enumerate(steps, start=1):
            hit = np.asarray(members[side](rows.ravel(), columns.ravel()), dtype=np.bool_).reshape(shape)
            owner[(owner == 0) & hit.any(axis=(1, 3))] = number
            whole |= hit
    undecided = np.logical_and(possible.any(axis=(1, 3)), ~certain.any(axis=(1, 3)))
    density = np.where(undecided, possible.mean(axis=(1, 3)), certain.mean(axis=(1, 3)))
    return Grid(owner, density, undecided, queries, keys, exact=cells_q == queries and cells_k == keys)


def _places(length: int, cells: int) -> Ints:
    """[cells, samples]: the positions tried in each cell."""
    low = np.arange(cells, dtype=np.int64) * length // cells
    high = (np.arange(cells, dtype=np.int64) + 1) * length // cells
    width = int((high - low).max())
    if width <= _SAMPLES:
        # Every position; a cell narrower than the widest repeats its last one.
        every: Ints = np.minimum(low[:, None] + np.arange(width), high[:, None] - 1)
        return every
    # A golden-ratio sequence has no period that a pattern could share.
    fractions = (np.arange(_SAMPLES) * 0.6180339887498949 + 0.5) % 1.0
    return low[:, None] + np.floor(fractions * (high - low)[:, None]).astype(np.int64)
