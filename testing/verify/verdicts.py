"""claims: every verdict agrees with brute force at the lengths that are drawn, and every witness is confirmed.

Whether the claims hold is what `patternc check` says. Here the question is whether it says so rightly.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...compiler.pattern import Pattern, Plan
from ...compiler.verify import realise
from ...compiler.verify.guard import check_within
from ...compiler.verify.oracle import claims as oracle
from ...compiler.verify.oracle import plans as plan_oracle
from ...compiler.verify.plan_subject import PlanSubject
from ...compiler.verify.result import Result, Status, Witness
from ...patterns_dsl.syntax import (
    BoundPattern,
    BoundPlan,
    Claim,
    Density,
    Direction,
    Integer,
    Keys,
    PlanClaim,
    PlanReach,
    Reach,
)
from ..arguments import bindings, lengths
from .property import Example, Undecided, Violated, bounded

MOST = 48
"""Tokens of an example: reach is decided by products of matrices, layer by layer."""

MOST_LAYERS = 64
"""Layers of a plan that brute force goes through."""


@st.composite
def _examples(draw: DrawFn, pattern: Pattern, fixed: Collection[str]) -> Example:
    bound = draw(bindings(pattern, fixed))
    n = draw(lengths(bound, most=MOST))
    return Example(bound, n, draw(lengths(bound, most=MOST)) if bound.direction is Direction.CROSS else None)


class Verdicts:
    name = "claims"
    share = 1.0

    def left_out(self, subject: Pattern | Plan) -> str:
        return "" if subject.bound.claims else "no claims"

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[Example]:
        if isinstance(subject, Plan):
            return lengths(most=MOST).map(lambda n: Example(subject, n))
        return _examples(subject, fixed)

    def judge(self, example: Example) -> None:
        for result in _checked(example.subject.bound):
            with bounded():
                _judge(result, example.subject.bound, example.n, example.nk)


@lru_cache(maxsize=256)  # the same parameters come again at other lengths
def _checked(bound: BoundPattern | BoundPlan) -> tuple[Result, ...]:
    return check_within(bound)


def _judge(result: Result, bound: BoundPattern | BoundPlan, n: int, nk: int | None) -> None:
    """Raises Violated where brute force says otherwise than the verdict."""
    if result.status is Status.UNKNOWN:
        return
    negated = isinstance(result.claim, Reach | PlanReach) and result.claim.negated
    none_found = (result.status is not Status.REFUTED) != negated
    if not none_found:  # a claim that is refuted, or a `not` claim that is proved, by an example
        if result.witness is None or not _confirmed(result, bound, result.witness):
            raise Violated(
                f"`{result.text}` is {result.status} by {result.witness}, which brute force does not confirm"
            )
        return
    if result.claim.at is not None:
        n, nk, *_ = (*result.claim.at.values, None)
    violation = _first_violation(result.claim, bound, n, nk)
    if violation is not None:
        raise Violated(f"`{result.text}` is {result.status}, and at {violation} brute force finds otherwise")


def _confirmed(result: Result, bound: BoundPattern | BoundPlan, found: Witness) -> bool:
    if isinstance(bound, BoundPlan):
        assert isinstance(result.claim, PlanClaim)
        subject = PlanSubject(bound)
        return plan_oracle.confirms(result.claim, subject, found, _layers(result.claim, subject, found.n))
    assert isinstance(result.claim, Claim)
    if isinstance(result.claim, Reach) and result.claim.negated:
        return oracle.confirms(result.claim, bound, found)
    choices = realise.choices(realise.sources(result.claim, bound))
    return any(oracle.confirms(result.claim, bound, found, picks) for picks in choices)


def _first_violation(
    claim: Claim | PlanClaim, bound: BoundPattern | BoundPlan, n: int, nk: int | None
) -> Witness | None:
    if isinstance(bound, BoundPlan):
        assert isinstance(claim, PlanClaim)
        subject = PlanSubject(bound)
        return plan_oracle.first_violation(claim, subject, n, _layers(claim, subject, n))
    assert isinstance(claim, Claim)
    if isinstance(claim, Keys | Density) and realise.sources(claim, bound):
        # A selection promises how many keys it chooses; the bounds of a mask say only which could be chosen.
        real = realise.at_length(claim, bound, n, nk)
        return None if real is None else real.found
    return oracle.first_violation(claim, bound, n, nk)


def _layers(claim: PlanClaim, subject: PlanSubject, n: int) -> int:
    """The layers that a claim about a plan speaks of; of `layers all`, as many as may tell a token anything new."""
    if isinstance(claim, PlanReach) and isinstance(claim.layers, Integer):
        return claim.layers.value
    layers = subject.depth or n * subject.period
    if layers > MOST_LAYERS:
        raise Undecided(f"{layers} layers are too many to go through one by one")
    return layers
