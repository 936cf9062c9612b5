"""What a proof is about: a bound pattern, seen as relations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ...patterns_dsl.syntax import BoundPattern, Direction, Expression
from ..relations.denote import denote
from ..relations.relation import Relation, identity, universe


@dataclass(frozen=True)
class Subject:
    """A pattern under proof; its relations are computed once."""

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
