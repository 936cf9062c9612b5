"""What a proof about a plan is about: for each layer, the relation of all its heads together.

Layers and heads that a plan does not name keep the model's own attention, of which the plan knows nothing: nothing
must attend there, and everything may (``passed_over``). Layer r of an ``interleaved`` pattern runs step r mod p, where
r counts the layers of its line; the heads of a layer hear together what any of them hears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import lcm

from ...patterns_dsl.binding.plans import layer_count
from ...patterns_dsl.syntax import Assignment, BoundPattern, BoundPlan, Direction, Expression, Integration, Step, Union
from ..relations.relation import Relation, identity, universe
from ..relations.settle import Extent, drawn, opens
from .subject import Subject


@dataclass(frozen=True)
class PlanSubject:
    """A plan under proof. Its patterns have one direction."""

    plan: BoundPlan

    @property
    def direction(self) -> Direction:
        return self.plan.assignments[0][1].direction

    @property
    def depth(self) -> int | None:
        """One more than the last layer that is named; None for `layers all`."""
        return layer_count([assignment for assignment, _ in self.plan.assignments])

    @cached_property
    def period(self) -> int:
        """After how many layers `layers all` repeats itself, from layer ``lead`` on."""
        return lcm(*(len(pattern.steps) for line, pattern in self.plan.assignments if line.layers is None))

    @cached_property
    def lead(self) -> int:
        """The layers before those that lines with `layers all` name alone."""
        return max((high + 1 for line, _ in self.plan.assignments for _, high in line.layers or ()), default=0)

    @property
    def distinct(self) -> int:
        """The first layers, after which nothing new comes."""
        return self.lead + self.period if self.depth is None else self.depth

    def enough(self, n: int) -> int:
        """Layers after which no further one tells any of n tokens anything new."""
        return self.lead + n * self.period if self.depth is None else self.depth

    @cached_property
    def open(self) -> bool:
        """Whether what a layer attends to is decided at run time."""
        return any(opens(step.body) for _, pattern in self.plan.assignments for step in pattern.steps)

    @cached_property
    def leaves_gaps(self) -> bool:
        """Whether the model's own attention runs in some layer before the last that is named."""
        return any(self.passed_over(layer) for layer in range(self.distinct))

    def passed_over(self, layer: int) -> bool:
        """Whether no line names the layer, or lines name some of its heads and not those before them. Whether a model
        has heads after the last that is named, no plan says."""
        heads: set[int] = set()
        for assignment, _ in self.plan.assignments:
            if _place(assignment, layer) is None:
                continue
            if assignment.heads is None:
                return False
            heads |= _order(assignment.heads).keys()
        return len(heads) <= max(heads, default=0)

    @cached_property
    def by_table(self) -> bool:
        """Whether a seeded table has a part in what a layer attends to: known at a length, not to a proof for all."""
        return any(drawn(step.body) for _, pattern in self.plan.assignments for step in pattern.steps)

    @cached_property
    def universe(self) -> Relation:
        return universe(self.direction)

    @cached_property
    def identity(self) -> Relation:
        return identity(self.direction)

    def bodies(self, layer: int) -> tuple[tuple[BoundPattern, Expression], ...]:
        """What the heads of a layer run: for each line that names it, the pattern and its relation in core form."""
        found = []
        for assignment, pattern in self.plan.assignments:
            place = _place(assignment, layer)
            if place is not None:
                found.append((pattern, _body(assignment, pattern, place)))
        return tuple(found)

    def kinds(self, layers: int, start: int = 0) -> tuple[int, ...]:
        """For each layer of a run a number, the same for layers whose heads run the same."""
        known, length = self._kinds, len(self._kinds)
        if self.depth is None:
            run = range(start, start + layers)
            return tuple(known[each if each < length else self.lead + (each - self.lead) % self.period] for each in run)
        return (*known[start : start + layers], *[-1] * (start + layers - max(start, length)))

    @cached_property
    def _kinds(self) -> tuple[int, ...]:
        numbers: dict[tuple[int, ...], int] = {}
        found = []
        for layer in range(self.distinct):
            places = [(assignment, pattern, _place(assignment, layer)) for assignment, pattern in self.plan.assignments]
            steps = (
                -1 if place is None else place % len(pattern.steps) if _interleaved(assignment) else 0
                for assignment, pattern, place in places
            )
            found.append(numbers.setdefault(tuple(steps), len(numbers)))
        return tuple(found)

    def merged(self, number: int) -> BoundPattern | None:
        """What the heads of a layer run, as one pattern with a step for each line; None where no line names it."""
        found = self.bodies(number)
        steps = tuple(Step(None, body, span=body.span) for _, body in found)
        return replace(found[0][0], steps=steps) if found else None

    def layer(self, number: int, extent: Extent) -> Relation:
        """What the heads of a layer attend to together; nothing where no line names it."""
        relations = [Subject(pattern).relation(body, extent) for pattern, body in self.bodies(number)]
        whole = relations[0] if relations else self.identity - self.identity
        for relation in relations[1:]:
            whole = whole | relation
        return whole

    def heard(self, number: int, extent: Extent) -> Relation:
        """What a layer tells: what its heads attend to, or may, the model's own among them; and the residual stream."""
        if extent is Extent.MAY and self.passed_over(number):
            return self.universe
        return self.layer(number, extent) | self.identity

    def starts(self, layers: int, *, any_run: bool) -> Sequence[int]:
        """The first layers of the runs that a claim is about."""
        if not any_run:
            return (0,)
        return range(self.distinct if self.depth is None else self.depth - layers + 1)


def _place(assignment: Assignment, layer: int) -> int | None:
    """The how-manieth layer of its line a layer is; None where the line does not name it."""
    if assignment.layers is None:
        return layer
    return _order(assignment.layers).get(layer)


@lru_cache(maxsize=256)
def _order(intervals: tuple[tuple[int, int], ...]) -> dict[int, int]:
    """The layers, or the heads, of a line, numbered."""
    named = sorted({number for low, high in intervals for number in range(low, high + 1)})
    return {number: place for place, number in enumerate(named)}


def _interleaved(assignment: Assignment) -> bool:
    return assignment.integration is Integration.INTERLEAVED


def _body(assignment: Assignment, pattern: BoundPattern, place: int) -> Expression:
    if _interleaved(assignment):
        return pattern.steps[place % len(pattern.steps)].body
    if assignment.integration is Integration.HEADS and assignment.heads is not None:
        count = len(_order(assignment.heads))  # head r runs step r mod p: too few heads leave steps out
        return replace(pattern, steps=pattern.steps[:count]).union
    return pattern.union  # of `heads` without numbers, each head runs one step, and together they run all


def union(bodies: Sequence[Expression]) -> Expression | None:
    """The union of relations in core form; None of none."""
    whole: Expression | None = None
    for body in bodies:
        whole = body if whole is None else Union(whole, body, span=whole.span)
    return whole
