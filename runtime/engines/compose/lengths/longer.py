"""A plan for a longer sequence, ready to be cut to shorter ones: which of its batches a length leaves whole is found
for all of them at once, and only those that it cuts are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ..plan.block import Block
from ..plan.diagonal import Diagonals
from ..plan.effort import Effort
from ..plan.periodic import Periodic
from ..plan.place import Gathered, Side
from ..plan.route import Cut
from ..plan.stage import Batch, Biases, Stage, Stages
from ..planning.arranged import effort_of
from ..pricing.price import Price
from .anew import Anew
from .left import left_of
from .mask_parts import MaskParts
from .missing import of_tokens
from .ranks import Classes, Ranks, is_roomy, place_at
from .repeated import Growth, growths

_GONE, _WHOLE, _CUT = range(3)

Numbers = NDArray[np.float64]


class Longer:
    """The stages of a plan for n tokens, with what is known of them at every shorter length. ``numbers``: the sweeps of
    a program that they are of, where some of these are planned ``anew`` at every length."""

    def __init__(
        self,
        stages: Stages,
        n: int,
        price: Price,
        dtype: torch.dtype,
        numbers: Sequence[int] = (),
        anew: Anew | None = None,
    ) -> None:
        self._n, self._price, self._dtype, self._anew = n, price, dtype, anew
        own = anew.own if anew is not None else frozenset[int]()
        self._stages: list[tuple[int, Stage | Diagonals | _LongerStage | None]] = [
            (number, stage if number in own or isinstance(stage, Diagonals) else _LongerStage(stage, price))
            for number, stage in zip(numbers or range(len(stages)), stages, strict=True)
        ]
        self._stages += ((number, None) for number in own.difference(numbers))
        self._stages.sort(key=lambda each: each[0])

    def repeated(self, periodic: Periodic, n: int) -> Longer | None:
        """The stages for n tokens, where whole periods are put in between the first and the last ones; None where some
        batch does not come again."""
        stages: list[tuple[int, Stage | Diagonals | _LongerStage | None]] = []
        for number, stage in self._stages:
            found = stage.repeated(periodic, n) if isinstance(stage, _LongerStage) else None
            if found is None:
                return None
            stages.append((number, found))
        other = copy(self)
        other._n, other._stages = n, stages
        return other

    def cut(self, n: int) -> Cut | None:
        """For the first n tokens; stages without a pair are left out. None where one that was the first no longer is,
        since a sweep before it has pairs at this length alone."""
        stages: list[Stage | Diagonals] = []
        total, biases = np.zeros(len(Effort()) + 1), Biases(self._dtype)
        for number, stage in self._stages:
            found: Stage | Diagonals | None
            if self._anew is not None and number in self._anew.own:
                assert not isinstance(stage, _LongerStage)
                found = stage if n == self._n else self._anew.stage(number, stage, n, biases, first=not stages)
                if isinstance(found, Stage) and is_roomy(found, n):
                    found, counts = _LongerStage(found, self._price).cut(n, biases)
                else:
                    counts = self._counts(found)
            elif isinstance(stage, _LongerStage):
                found, counts = stage.cut(n, biases)
            else:
                assert isinstance(stage, Diagonals)
                found = stage.cut(n)
                counts = self._counts(found)
            if found is None:
                continue
            if self._anew is not None and stages and is_fresh(found):
                return None
            stages.append(found)
            total += counts
        return Cut(tuple(stages), Effort(*total[:-1].tolist()), round(total[-1]), biases.held)

    def _counts(self, stage: Stage | Diagonals | None) -> Numbers:
        """What it asks for, and how many rows its batches write."""
        if stage is None:
            return np.zeros(len(Effort()) + 1)
        written = 0 if isinstance(stage, Diagonals) else sum(batch.written for batch in stage.batches)
        return np.array((*effort_of(stage, self._price), written), dtype=np.float64)


class _LongerStage:
    """Of each batch its tiles and where they begin and end; and of all batches before each what they ask for, and how
    many rows are written."""

    def __init__(self, stage: Stage, price: Price) -> None:
        self._stage, self._price, self._masks = stage, price, MaskParts()
        blocks = [batch.block for batch in stage.batches]
        classes = [(one.first_class, one.key_class, one.classes - 1) for one in blocks]
        begin, keys_begin, more = np.array(classes, dtype=np.int64).reshape(-1, 3).T
        ends = (stage.query, begin, begin + more), (stage.key, keys_begin, keys_begin + more)
        self._classes = [tuple(Classes.of(place, each) for each in side) for place, *side in ends]
        self._growths: tuple[list[tuple[Block, Growth]] | None, ...] = ()  # found once
        counts = [self._counts(batch) for batch in stage.batches]
        self._set(stage, counts)

    def _set(self, stage: Stage, counts: list[Numbers]) -> None:
        self._stage, self._asked = stage, counts
        corners = [(*batch.block.tiles.begins, *batch.block.tiles.ends) for batch in stage.batches]
        self._first, self._end = np.split(np.array(corners, dtype=np.int64).reshape(-1, 4).T, 2)
        self._before = np.cumsum([np.zeros(len(Effort()) + 1), *counts], axis=0)

    def repeated(self, periodic: Periodic, n: int) -> _LongerStage | None:
        """For n tokens, as ``Longer.repeated``."""
        query, key = self._stage.query, self._stage.key
        if not isinstance(query, Side) or not isinstance(key, Side):
            return None
        if not self._growths:
            blocks = [batch.block for batch in self._stage.batches]
            self._growths = (growths(blocks, periodic, (query.order, key.order), query.n),)
        [grown_each] = self._growths
        if grown_each is None:
            return None
        periods = (n - query.n) // periodic.tokens
        batches, counts = list(self._stage.batches), list(self._asked)
        for at, (block, grown) in enumerate(grown_each):
            if any(grown):
                batches[at] = replace(batches[at], block=replace(block, tiles=grown.of(block.tiles, periods)))
                if grown.resizes:
                    counts[at] = self._counts(batches[at])
        other = copy(self)
        other._set(Stage(Side(query.order, n), Side(key.order, n), tuple(batches)), counts)
        return other

    def cut(self, n: int, biases: Biases) -> tuple[Stage | None, Numbers]:
        """The stage for n tokens, None where nothing is left; what it asks for and how many rows its batches write."""
        stage = Stage(place_at(self._stage.query, n), place_at(self._stage.key, n), ())
        found: list[Batch] = []
        ranks = Ranks(stage.query, n), Ranks(stage.key, n)
        counts, cut = np.zeros(self._before.shape[1]), _Cutting(*ranks, self._masks, biases)
        kinds = self._kinds(ranks)
        edges = [0, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist(), len(kinds)]
        for first, stop in pairwise(edges):
            if kinds[first] == _WHOLE:
                found += self._stage.batches[first:stop]
                counts += self._before[stop] - self._before[first]
            elif kinds[first] == _CUT:
                for batch in self._stage.batches[first:stop]:
                    parts = list(cut.batches(batch))
                    found += parts
                    for part in parts:
                        counts += self._counts(part)
        if not found:
            return None, counts
        counts[:-1] += _taken(stage, self._price)
        return Stage(stage.query, stage.key, tuple(found)), counts

    def _kinds(self, ranks: tuple[Ranks, Ranks]) -> NDArray[np.int64]:
        """What is left of each batch. Later classes have no more ranks than earlier ones."""
        gone, whole = np.False_, np.True_
        for side in (0, 1):
            first, last = self._classes[side]
            gone = gone | (self._first[side] >= first.each(ranks[side].of))
            whole = whole & (self._end[side] <= last.each(ranks[side].whole))
        return np.where(whole, _WHOLE, np.where(gone, _GONE, _CUT))

    def _counts(self, batch: Batch) -> Numbers:
        return np.array((*self._price.block(batch.block, fresh=batch.fresh), batch.written), dtype=np.float64)


def is_fresh(stage: Stage | Diagonals) -> bool:
    return stage.fresh if isinstance(stage, Diagonals) else any(batch.fresh for batch in stage.batches)


def _taken(stage: Stage, price: Price) -> Effort:
    """What taking its tokens out of their order asks for."""
    if isinstance(stage.key, Gathered):
        return price.taken_again(len(stage.key.index))
    return price.gathered(*(place.moved if isinstance(place, Side) else 0 for place in (stage.query, stage.key)))


class _Cutting:
    """Cuts the batches of a stage to the ranks that are there."""

    def __init__(self, query: Ranks, key: Ranks, masks: MaskParts, biases: Biases) -> None:
        self._query, self._key, self._masks, self._biases = query, key, masks, biases
        self._alike: dict[tuple[int, int, int], list[tuple[int, int, int, int]]] = {}

    def batches(self, batch: Batch) -> Iterator[Batch]:
        """The batch as batches of classes with equally many queries and keys, and of tiles of one shape."""
        block = batch.block
        of = block.first_class, block.key_class, block.classes
        if of not in self._alike:
            self._alike[of] = list(self._runs(*of))
        for first, count, rows, keys in self._alike[of]:
            for tiles in left_of(block.tiles, rows, keys):
                if block.triangle and tiles.keys > tiles.rows:
                    tiles = replace(tiles, keys=tiles.rows)
                mask, bias = self._masks.of(batch.bias, block.mask, tiles.rows, tiles.keys)
                classes = block.first_class + first, block.key_class + first, count
                for own in of_tokens(Block(*classes, tiles, mask, block.triangle), self._query, self._key):
                    if own.mask is mask:
                        yield Batch(own, batch.fresh, bias)
                    else:
                        yield self._biases.batch(own, fresh=batch.fresh)

    def _runs(self, first_class: int, key_class: int, classes: int) -> Iterator[tuple[int, int, int, int]]:
        """(the first, how many, their queries, their keys) of classes that have equally many of either, which fall from
        class to class."""
        first = 0
        while first < classes:
            query, key = first_class + first, key_class + first
            count = min(classes - first, self._query.alike(query), self._key.alike(key))
            yield first, count, self._query.of(query), self._key.of(key)
            first += count
