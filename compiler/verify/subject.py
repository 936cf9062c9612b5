"""What a proof is about: a bound pattern, seen as relations and, independently, as brute-force masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...patterns_dsl.syntax import BoundPattern, Direction, Expression
from .. import bruteforce
from ..bruteforce import Positions
from ..relations.denote import denote
from ..relations.relation import Relation, identity, universe

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Subject:
    """A pattern under proof. Relations come from ``denote``; masks from the evaluator that shares no code with it."""

    pattern: BoundPattern

    @property
    def direction(self) -> Direction:
        return self.pattern.direction

    @cached_property
    def steps(self) -> tuple[Relation, ...]:
        return tuple(denote(step.body, self.direction) for step in self.pattern.steps)

    @cached_property
    def union(self) -> Relation:
        whole = self.steps[0]
        for step in self.steps[1:]:
            whole = whole | step
        return whole

    @cached_property
    def universe(self) -> Relation:
        return universe(self.direction)

    @cached_property
    def identity(self) -> Relation:
        return identity(self.direction)

    def relation(self, expression: Expression) -> Relation:
        return denote(expression, self.direction)

    def mask(
        self,
        expression: Expression,
        n: int,
        nk: int | None = None,
        *,
        queries: Positions | None = None,
        keys: Positions | None = None,
    ) -> Mask:
        """Brute force: which keys (columns) each query (row) attends to at length n; of all or of some of them.

        Raises TooLong where that would take too long.
        """
        work = bruteforce.LARGEST_WORK
        return bruteforce.block(expression, self.direction, n, nk, queries=queries, keys=keys, work=work)

    def step_masks(self, n: int, nk: int | None = None) -> list[Mask]:
        return [self.mask(step.body, n, nk) for step in self.pattern.steps]

    def universe_mask_at(self, query: int, key: int) -> bool:
        return key <= query or self.direction is not Direction.CAUSAL

    def universe_mask(self, n: int) -> Mask:
        square = np.ones((n, n), dtype=np.bool_)
        return np.tril(square) if self.direction is Direction.CAUSAL else square
