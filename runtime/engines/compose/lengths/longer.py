"""A plan for a longer sequence, ready to be cut to shorter ones: which of its batches a length leaves whole is found
for all of them at once, and only those that it cuts are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import torch

from ..plan.block import Block
from ..plan.diagonal import Diagonals
from ..plan.effort import Effort
from ..plan.periodic import Periodic
from ..plan.place import Gathered, Place, Side
from ..plan.route import Cut
from ..plan.stage import Batch, Biases, Stage, Stages
from ..planning.arranged import effort_of
from ..pricing.price import Price
from .anew import Anew
from .kinds import CUT, WHOLE, Kinds
from .left import left_of
from .mask_parts import MaskParts
from .missing import of_tokens
from .ranks import Ranks, is_roomy, place_at
from .repeated import Growth, growths

Counts: TypeAlias = Sequence[float]
"""What something asks for, and how many rows its batches write."""


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
        self._price, self._dtype, self._anew, self._masks = price, dtype, anew, MaskParts()
        own = anew.own if anew is not None else frozenset[int]()
        self._stages: list[tuple[int, Stage | Diagonals | None]] = [
            *zip(numbers or range(len(stages)), stages, strict=True),
            *((number, None) for number in own.difference(numbers)),
        ]
        self._stages.sort(key=lambda each: each[0])
        cut = [stage for number, stage in self._stages if isinstance(stage, Stage) and number not in own]
        self._set(n, cut, [self._of_batch(batch) for stage in cut for batch in stage.batches])

    def _set(self, n: int, cut: list[Stage], asked: list[Counts]) -> None:
        """``cut``: the stages that are cut; ``asked``: what each of their batches asks for."""
        self._n, self._cut, self._asked, self._kinds = n, cut, asked, Kinds(cut)
        self._ends = [0, *accumulate(len(stage.batches) for stage in cut)]
        self._table = np.array(asked, dtype=np.float64).reshape(-1, len(Effort()) + 1)
        self._growths: tuple[list[list[tuple[Block, Growth]]] | None, ...] = ()  # found once

    def repeated(self, periodic: Periodic, n: int) -> Longer | None:
        """The stages for n tokens, where whole periods are put in between the first and the last ones; None where some
        batch does not come again."""
        if not self._growths:
            found = [_growths(stage, periodic) for _, stage in self._stages]
            known = [each for each in found if each is not None]
            self._growths = (known if len(known) == len(found) == len(self._cut) else None,)
        [grown_each] = self._growths
        if grown_each is None:
            return None
        stages, asked = list[Stage](), list[Counts]()
        for stage, each in zip(self._cut, grown_each, strict=True):
            batches = []
            for batch, (block, grown) in zip(stage.batches, each, strict=True):
                tiles = grown.of(block.tiles, (n - self._n) // periodic.tokens)
                batches.append(replace(batch, block=replace(block, tiles=tiles)) if any(grown) else batch)
                asked.append(self._of_batch(batches[-1]) if grown.resizes else self._asked[len(asked)])
            stages.append(Stage(place_at(stage.query, n), place_at(stage.key, n), tuple(batches)))
        other = copy(self)
        other._stages = [(number, stage) for (number, _), stage in zip(self._stages, stages, strict=True)]
        other._set(n, stages, asked)
        return other

    def cut(self, n: int) -> Cut | None:
        """For the first n tokens; stages without a pair are left out. None where one that was the first no longer is,
        since a sweep before it has pairs at this length alone."""
        stages: list[Stage | Diagonals] = []
        biases = Biases(self._dtype)
        left, asked = self._left(n, biases)
        own = self._anew.own if self._anew is not None else ()
        for number, stage in self._stages:
            found: Stage | Diagonals | None
            if number in own:
                found, more = self._planned(number, stage, n, biases, first=not stages)
                asked += more
            elif isinstance(stage, Stage):
                found = next(left)
            else:
                assert stage is not None
                found = stage.cut(n)
                asked.append(self._of_stage(found))
            if found is None:
                continue
            if own and stages and is_fresh(found):
                return None
            stages.append(found)
        *effort, written = np.sum(asked, axis=0).tolist()
        return Cut(tuple(stages), Effort(*effort), round(written), biases.held)

    def _planned(
        self, number: int, longer: Stage | Diagonals | None, n: int, biases: Biases, *, first: bool
    ) -> tuple[Stage | Diagonals | None, list[Counts]]:
        """A sweep that is planned for every length, and what it asks for."""
        assert self._anew is not None
        found = longer if n == self._n else self._anew.stage(number, longer, n, biases, first=first)
        if isinstance(found, Stage) and is_roomy(found, n):
            left, asked = Longer((found,), n, self._price, self._dtype)._left(n, biases)
            return next(left), asked
        return found, [] if found is None else [self._of_stage(found)]

    def _left(self, n: int, biases: Biases) -> tuple[Iterator[Stage | None], list[Counts]]:
        """Of each stage that is cut what is left of it, None where nothing is; and what all of them ask for."""
        places = [(place_at(stage.query, n), place_at(stage.key, n)) for stage in self._cut]
        ranks = [(Ranks(query, n), Ranks(key, n)) for query, key in places]
        kinds = self._kinds.at(ranks)
        asked: list[Counts] = [self._table[kinds == WHOLE].sum(axis=0)]
        kind_of, left = kinds.tolist(), list[Stage | None]()
        for at, stage in enumerate(self._cut):
            found, cutting = list[Batch](), _Cutting(*ranks[at], self._masks, biases)
            for batch, kind in zip(stage.batches, kind_of[self._ends[at] : self._ends[at + 1]], strict=True):
                if kind == WHOLE:
                    found.append(batch)
                elif kind == CUT:
                    parts = list(cutting.batches(batch))
                    found += parts
                    asked += map(self._of_batch, parts)
            if found:
                asked.append((*_taken(*places[at], self._price), 0))
            left.append(Stage(*places[at], tuple(found)) if found else None)
        return iter(left), asked

    def _of_stage(self, stage: Stage | Diagonals) -> Counts:
        written = 0 if isinstance(stage, Diagonals) else sum(batch.written for batch in stage.batches)
        return (*effort_of(stage, self._price), written)

    def _of_batch(self, batch: Batch) -> Counts:
        return (*self._price.block(batch.block, fresh=batch.fresh), batch.written)


def _growths(stage: Stage | Diagonals | None, periodic: Periodic) -> list[tuple[Block, Growth]] | None:
    """None where some batch does not come again, or what is looked at is none of blocks in orders."""
    if not isinstance(stage, Stage) or not isinstance(stage.query, Side) or not isinstance(stage.key, Side):
        return None
    orders = stage.query.order, stage.key.order
    return growths([batch.block for batch in stage.batches], periodic, orders, stage.query.n)


def is_fresh(stage: Stage | Diagonals) -> bool:
    return stage.fresh if isinstance(stage, Diagonals) else any(batch.fresh for batch in stage.batches)


def _taken(query: Place, key: Place, price: Price) -> Effort:
    """What taking their tokens out of their order asks for."""
    if isinstance(key, Gathered):
        return price.taken_again(len(key.index))
    return price.gathered(*(place.moved if isinstance(place, Side) else 0 for place in (query, key)))


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
                    tiles = tiles.first_of_each(tiles.rows, tiles.rows)
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
