"""Repairs: changes that were checked to make a refuted claim true, as advice and, where it is one edit, as a fix.

A fix mends the pattern. Advice may also be to claim less; that is for people to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....patterns_dsl import syntax
from ....patterns_dsl.diagnostics.diagnostic import Fix
from ....patterns_dsl.diagnostics.source import Span
from ....patterns_dsl.syntax import Claim, Direction
from ...effort import TooLong
from ...relations.count import Uncountable
from ...relations.isl.context import BudgetExceeded, budget
from ...relations.isl.presburger import IntegerSet
from ...relations.relation import Relation, universe
from ...relations.settle import Extent
from ...relations.spelling import spell
from ..properties import keys, reach
from ..realise import Realised, by_table, sources
from ..subject import Subject
from .witness import empty_steps

MOST_EXTRA_STEPS = 2
"""A repair that takes more steps than this beyond the claimed ones is not offered."""


@dataclass(frozen=True, slots=True)
class Repair:
    help: str = ""
    fix: Fix | None = None


def repair(claim: Claim, subject: Subject, real: Realised) -> Repair:
    """A change that makes the claim true; an empty one where none was found."""
    match claim:
        case syntax.Nonempty():
            return _nonempty(subject, real)
        case syntax.Causal() if subject.direction is not Direction.CROSS:
            return Repair("declare the pattern `causal`: every rule is then meant within j <= i")
        case syntax.Reach(negated=False):
            return _reach(claim, subject)
        case syntax.Keys() | syntax.Cache():
            return _counts(claim, subject)
        case _:
            return Repair()


def _nonempty(subject: Subject, real: Realised) -> Repair:
    """True whatever the pattern: each token is its own key, and where there are keys there is a first."""
    added = " | columns(first(1))" if subject.direction is Direction.CROSS else " | self"
    try:
        step = empty_steps(subject, real)[0]
    except TooLong:
        return Repair(f"add `{added.strip()}` to the step")
    end = Span(step.span.source, step.span.end, step.span.end)
    return Repair(f"add `{added.strip()}`", Fix(f"add `{added.strip()}`", end, added))


def _reach(claim: syntax.Reach, subject: Subject) -> Repair:
    """More steps, or one neighbour more in every step."""
    steps = subject.steps_within(Extent.MUST)
    claimed = reach.count(claim, len(steps)) or 0
    neighbour = Relation.parse("-1 <= v_i - v_j and v_i - v_j <= 1", subject.direction)
    wider = tuple(step | neighbour for step in steps)

    def connects(count: int, by: tuple[Relation, ...]) -> bool:
        orders = reach.orders(by) if claim.any_order else [by]
        return all(subject.universe <= reach.reached(subject, count, order) for order in orders)

    try:
        with budget():
            for count in range(claimed + 1, claimed + len(steps) + 1):
                if connects(count, steps):
                    return Repair(f"it holds in {count} steps")
            for count in range(max(claimed, 1), claimed + MOST_EXTRA_STEPS + 1):
                if connects(count, wider):
                    return Repair(f"add `| local(2)` to every step: it then holds in {count} steps")
    except BudgetExceeded:
        pass
    return Repair()


def _counts(claim: syntax.Keys | syntax.Cache, subject: Subject) -> Repair:
    """The greatest count over all queries, as a formula in the length: what the claim could say."""
    try:
        with budget():
            counts = keys.key_counts(subject) if isinstance(claim, syntax.Keys) else keys.live_counts(subject)
            most = counts.function.greatest("i").closed_form(_lengths(subject))
    except (BudgetExceeded, Uncountable):
        return Repair()
    text = spell(most)
    decided = not sources(claim, subject.pattern) and not by_table(claim, subject.pattern)
    attained = counts.exact and decided  # what may attend need not attend together
    return Repair(f"the {'greatest count' if attained else 'bound that is known'} is {text}") if text else Repair()


def _lengths(subject: Subject) -> IntegerSet:
    return universe(subject.direction).queries.onto(())
