"""What binding returns: trees in core form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .claims import Claim, PlanClaim
from .declarations import Assignment, Direction, Step
from .node import Node
from .relations import Expression, Union

Bound: TypeAlias = int | float | Expression
"""The value of a parameter: an int, a ratio in [0, 1], a core-form set (``Positions``) or relation."""

Option: TypeAlias = int | float | str | tuple[str, ...]
"""The value of a selector's option: an int, a ratio in [0, 1], a word, or several words."""


@dataclass(frozen=True, slots=True)
class Selector(Node):
    """A ``learn`` declaration with every option given a value; ``kind`` is the selector's name."""

    name: str
    kind: str
    options: tuple[tuple[str, Option], ...]


@dataclass(frozen=True, slots=True)
class BoundPattern(Node):
    """A pattern whose parameters have values: steps and claims are in core form, claim numbers are ``Integer``."""

    name: str
    direction: Direction
    arguments: tuple[tuple[str, Bound], ...]
    steps: tuple[Step, ...]
    claims: tuple[Claim, ...]
    documentation: str | None = None
    selectors: tuple[Selector, ...] = ()

    @property
    def union(self) -> Expression:
        """The union of the steps: what one merged head attends to."""
        return _joined(self.steps)


LONG_ROW = 16
"""More steps than this are joined as a balanced tree, since passes recurse over it."""


def _joined(steps: Sequence[Step]) -> Expression:
    if len(steps) > LONG_ROW:
        first, second = (_joined(half) for half in (steps[: len(steps) // 2], steps[len(steps) // 2 :]))
        return Union(first, second, span=first.span.to(second.span))
    body = steps[0].body
    for step in steps[1:]:
        body = Union(body, step.body, span=body.span.to(step.span))
    return body


@dataclass(frozen=True, slots=True)
class BoundPlan(Node):
    """A plan with the bound pattern of each assignment."""

    name: str
    assignments: tuple[tuple[Assignment, BoundPattern], ...]
    claims: tuple[PlanClaim, ...]
    documentation: str | None = None
