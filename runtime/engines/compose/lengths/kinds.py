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
        self._known: dict[tuple[object, int], int] = {}  # a place and a class of it
        self._asked: list[tuple[int, int, int]] = []  # (stage, side, class) that says how many ranks these have
        corners: list[tuple[int, ...]] = []
        classes: list[tuple[int, int, int, int]] = []
        for number, stage in enumerate(stages):
            for block in (batch.block for batch in stage.batches):
                corners.append((*block.tiles.begins, *block.tiles.ends))
                first, more = (block.first_class, block.key_class), block.classes - 1
                asked = ((side, cls) for each in (0, more) for side, cls in enumerate(at + each for at in first))
                classes.append(tuple(self._number(stage, number, *one) for one in asked))  # type: ignore[arg-type]
        self._corners = np.array(corners, dtype=np.int64).reshape(-1, 4).T
        self._classes = np.array(classes, dtype=np.int64).reshape(-1, 4).T

    def _number(self, stage: Stage, number: int, side: int, cls: int) -> int:
        place = (stage.query, stage.key)[side]
        key = (place.order, cls) if isinstance(place, Side) else ((number, side), 0)
        if key not in self._known:
            self._known[key] = len(self._asked)
            self._asked.append((number, side, cls))
        return self._known[key]

    def at(self, ranks: Sequence[tuple[Ranks, Ranks]]) -> NDArray[np.int64]:
        """Of each batch, where these are the ranks of each stage."""
        there = np.array([ranks[stage][side].of(cls) for stage, side, cls in self._asked], dtype=np.int64)
        whole = np.array([ranks[stage][side].whole(cls) for stage, side, cls in self._asked], dtype=np.int64)
        gone = (self._corners[:2] >= there[self._classes[:2]]).any(axis=0)
        left = (self._corners[2:] <= whole[self._classes[2:]]).all(axis=0)
        return np.where(left, WHOLE, np.where(gone, GONE, CUT))
