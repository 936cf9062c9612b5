"""What a length leaves of each batch of a plan: for all batches of all stages at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..plan.place import Side
from ..plan.stage import Stage
from .ranks import Ranks

GONE, WHOLE, CUT = range(3)


class Kinds:
    """Where the queries and the keys of each batch begin and end. Later classes have no more ranks than earlier ones,
    so that the first class of a batch tells whether some of it is left, and the last one whether all is."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._asked: list[tuple[int, int, int]] = []  # (stage, side, class) that says how many ranks these have
        known: dict[object, dict[int, int]] = {}  # of the classes of a place, which of these that is
        corners: list[tuple[int, ...]] = []
        classes: list[tuple[int, ...]] = []
        for number, stage in enumerate(stages):
            query, key = (
                known.setdefault(place.order if isinstance(place, Side) else (number, side), {})
                for side, place in enumerate((stage.query, stage.key))
            )
            for block in (batch.block for batch in stage.batches):
                corners.append((*block.tiles.begins, *block.tiles.ends))
                ends = (0, block.classes - 1)
                own = [self._number(query, number, 0, block.first_class + each) for each in ends]
                other = [self._number(key, number, 1, block.key_class + each) for each in ends]
                classes.append((own[0], other[0], own[1], other[1]))
        self._corners = np.array(corners, dtype=np.int64).reshape(-1, 4).T
        self._classes = np.array(classes, dtype=np.int64).reshape(-1, 4).T

    def _number(self, known: dict[int, int], stage: int, side: int, cls: int) -> int:
        if (found := known.get(cls)) is None:
            found = known[cls] = len(self._asked)
            self._asked.append((stage, side, cls))
        return found

    def at(self, ranks: Sequence[tuple[Ranks, Ranks]]) -> NDArray[np.int64]:
        """Of each batch, where these are the ranks of each stage."""
        there = np.array([ranks[stage][side].of(cls) for stage, side, cls in self._asked], dtype=np.int64)
        whole = np.array([ranks[stage][side].whole(cls) for stage, side, cls in self._asked], dtype=np.int64)
        gone = (self._corners[:2] >= there[self._classes[:2]]).any(axis=0)
        left = (self._corners[2:] <= whole[self._classes[2:]]).all(axis=0)
        return np.where(left, WHOLE, np.where(gone, GONE, CUT))
