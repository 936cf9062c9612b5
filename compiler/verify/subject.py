"""What a proof is about: a bound pattern, seen as relations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from ...patterns_dsl.syntax import BoundPattern, Direction, Expression
from ..relations.denote import denote
from ..relations.relation import Relation, identity, universe
from ..relations.settle import Extent, settle


@dataclass(frozen=True)
class Subject:
    """A pattern under proof; its relations are computed once.

    What selections, the data or seeded tables decide is bounded from both sides: MUST and MAY (see ``settle``).
    """

    pattern: BoundPattern

    @property
    def direction(self) -> Direction:
        return self.pattern.direction

    @cached_property
    def steps(self) -> tuple[Relation, ...]:
        """The pairs of each step that attend whatever is chosen."""
        return self.steps_within(Extent.MUST)

    def steps_within(self, extent: Extent) -> tuple[Relation, ...]:
        return tuple(self.relation(step.body, extent) for step in self.pattern.steps)

    def union(self, extent: Extent) -> Relation:
        whole, *rest = self.steps_within(extent)
        for step in rest:
            whole = whole | step
        return whole

    @cached_property
    def universe(self) -> Relation:
        return universe(self.direction)

    @cached_property
    def identity(self) -> Relation:
        return identity(self.direction)

    def relation(self, expression: Expression, extent: Extent) -> Relation:
        return _denoted(settle(expression, extent), self.direction)


@lru_cache(maxsize=1024)
def _denoted(expression: Expression, direction: Direction) -> Relation:
    return denote(expression, direction)
