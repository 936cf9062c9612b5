"""Advice that was checked: what would let every token be heard, and what keeps the cache from being small."""

from __future__ import annotations

from ....patterns_dsl import syntax
from ....patterns_dsl.syntax import BoundPattern
from ...relations.count import Uncountable
from ...relations.isl.context import BudgetExceeded, budget
from ...relations.isl.presburger import IntegerSet
from ...relations.relation import Relation
from ...relations.settle import Extent
from ...relations.spelling import spell
from ..properties import reach
from ..properties.keys import live_count
from ..subject import Subject

MOST_HOPS = 3
"""Hops that a repair of reach may take."""

_OPERATIONS = 3_000_000


def reach_advice(pattern: BoundPattern) -> str:
    """A neighbour more in every step, where that lets every pair be connected in a few steps; else nothing."""
    subject = Subject(pattern)
    neighbour = Relation.parse("-1 <= v_i - v_j and v_i - v_j <= 1", subject.direction)
    steps = tuple(step | neighbour for step in subject.steps_within(Extent.MUST))
    try:
        with budget():
            for count in range(1, max(MOST_HOPS, len(steps)) + 1):
                if subject.universe <= reach.reached(subject, count, steps):
                    return f"add `| local(2)` to every step: every token is then heard in {count} steps"
    except BudgetExceeded:
        pass
    return ""


def cache_advice(pattern: BoundPattern) -> str:
    """The term without which far fewer keys stay live, where the keys that stay live grow with the sequence."""
    subject = Subject(pattern)
    bodies = [body for step in pattern.steps for body in _terms(step.body)]
    try:
        with budget(_OPERATIONS):
            if _constant(_live(subject, bodies)) is not None:
                return ""
            for place, term in enumerate(bodies):
                rest = [*bodies[:place], *bodies[place + 1 :]]
                bound = _constant(_live(subject, rest)) if rest else None
                if bound is not None:
                    text = " ".join(term.span.text.split())
                    return f"`{text}` alone keeps old keys live: without it {bound} suffice"
    except (BudgetExceeded, Uncountable):
        pass
    return ""


def _terms(expression: syntax.Expression) -> list[syntax.Expression]:
    if isinstance(expression, syntax.Union):
        return [*_terms(expression.left), *_terms(expression.right)]
    return [expression]


def _live(subject: Subject, bodies: list[syntax.Expression]) -> str | None:
    whole = subject.relation(bodies[0], Extent.MAY)
    for body in bodies[1:]:
        whole = whole | subject.relation(body, Extent.MAY)
    most = live_count(whole).function.greatest("i")
    return spell(most.closed_form(IntegerSet.parse((), "v_n >= 1000000", ("n",))))


def _constant(bound: str | None) -> str | None:
    """The bound, where it does not grow with n."""
    return bound if bound is not None and bound.isdecimal() else None
