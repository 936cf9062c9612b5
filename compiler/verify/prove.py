"""prove: decide each claim of a pattern, for every length where the claim does not state one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from ...patterns_dsl.syntax import Causal, Claim, Equal, Integer, Nonempty, Reach, Subset
from ..effort import TooLong
from ..pattern import Pattern
from ..relations.presburger import BudgetExceeded, IntegerSet, budget, quote
from ..relations.relation import lengths
from . import causal, inclusion, nonempty, reach
from .result import Result, Status, Witness
from .subject import Subject

_SCANNED = (*range(1, 25), 32, 48, 64, 100, 200, 300)
"""Lengths that are tried by brute force where there is no proof for every length."""


class Disagreement(RuntimeError):
    """The proof and the brute-force evaluator contradict each other: a bug in patternc, never in the pattern."""


def check(pattern: Pattern) -> tuple[Result, ...]:
    """The verdict on every claim of the pattern, in the order in which they are written."""
    subject = Subject(pattern.bound)
    return tuple(prove(claim, subject) for claim in pattern.bound.claims)


def prove(claim: Claim, subject: Subject) -> Result:
    """The verdict on one claim. Raises Disagreement when a witness is not confirmed by brute force."""
    if claim.at is not None:
        return _at_length(claim, subject, _value(claim.at))
    try:
        with budget():
            found = _violations(claim, subject)
            point = found.smallest(lengths(subject.direction))
    except BudgetExceeded:
        return _scan(claim, subject, "the proof ran out of its budget")
    if point is None:
        return _without_violation(claim, subject)
    return _with_violation(claim, subject, _witness(point))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Builds the results of one claim."""

    claim: Claim
    subject: Subject

    def __call__(self, status: Status, found: Witness | None = None, note: str = "") -> Result:
        repair, span = "", None
        if found is not None:
            from . import witness

            # A violation refutes a claim and proves its negation: both are worth explaining, only one needs repair.
            note = note or witness.explain(self.claim, self.subject, found)
            if status is Status.REFUTED:
                repair = witness.repair(self.claim, self.subject)
                span = witness.fault(self.claim, self.subject, found)
        text = " ".join(self.claim.span.text.split()).removeprefix("prove ")
        return Result(self.claim, text, status, found, note, repair, span)


def _without_violation(claim: Claim, subject: Subject) -> Result:
    verdict = _Verdict(claim, subject)
    if isinstance(claim, Reach) and not reach.complete(claim):
        steps = reach.enough(subject)
        if steps is not None:
            return verdict(Status.REFUTED, note=f"every pair is connected after {steps} steps, for every length")
        return _scan(claim, subject, "an upper bound of the transitive closure is full")
    if _negated(claim):
        return verdict(Status.REFUTED, note="every pair is connected, for every length")
    return verdict(Status.PROVED)


def _with_violation(claim: Claim, subject: Subject, found: Witness) -> Result:
    verdict = _Verdict(claim, subject)
    try:
        from . import oracle  # arrays, which a claim that is simply proved does without

        confirmed = oracle.confirms(claim, subject.pattern, found)
    except TooLong:
        note = f"a counterexample at {found} is too long to confirm by brute force; try it with smaller parameters"
        return verdict(Status.UNKNOWN, note=note)
    if not confirmed:
        raise Disagreement(f"{claim.span.text!r}: brute force does not confirm the counterexample at {found}")
    return verdict(Status.PROVED if _negated(claim) else Status.REFUTED, found)


def _at_length(claim: Claim, subject: Subject, n: int) -> Result:
    try:
        found = _first_violation(claim, subject, n)
    except TooLong:
        return _at_great_length(claim, subject, n)
    holds = (found is None) != _negated(claim)
    note = "" if found is not None else "every pair is connected" if _negated(claim) else ""
    return _Verdict(claim, subject)(Status.CHECKED if holds else Status.REFUTED, found, note)


def _at_great_length(claim: Claim, subject: Subject, n: int) -> Result:
    """At a stated length that is too long for brute force: the same relations as a proof, at that length."""
    if isinstance(claim, Reach) and not reach.complete(claim):
        return _Verdict(claim, subject)(Status.UNKNOWN, note=f"n = {n} is too long to follow every path; name K steps")
    names = lengths(subject.direction)
    formula = " and ".join(f"{quote(name)} = {n}" for name in names)
    try:
        with budget():
            found = _violations(claim, subject)
            point = (found & IntegerSet.parse(found.dims, formula, names)).smallest(names)
    except BudgetExceeded:
        return _Verdict(claim, subject)(Status.UNKNOWN, note="the proof ran out of its budget")
    if point is not None:
        result = _with_violation(claim, subject, _witness(point))
        return replace(result, status=Status.CHECKED) if result.status is Status.PROVED else result
    note = "every pair is connected" if _negated(claim) else ""
    return _Verdict(claim, subject)(Status.REFUTED if _negated(claim) else Status.CHECKED, note=note)


def _scan(claim: Claim, subject: Subject, why: str) -> Result:
    """No proof for every length: look for a violation at small ones, which refutes a claim and proves its negation."""
    verdict = _Verdict(claim, subject)
    longest = 0
    for n in _SCANNED:
        try:
            found = _first_violation(claim, subject, n)
        except TooLong:
            break
        longest = n
        if found is not None:
            return verdict(Status.PROVED if _negated(claim) else Status.REFUTED, found)
    return verdict(Status.UNKNOWN, note=f"{why}; no violation at the lengths up to {longest} that were tried")


def _first_violation(claim: Claim, subject: Subject, n: int) -> Witness | None:
    from . import oracle

    return oracle.first_violation(claim, subject.pattern, n)


def _violations(claim: Claim, subject: Subject) -> IntegerSet:
    match claim:
        case Nonempty():
            return nonempty.violations(claim, subject)
        case Causal():
            return causal.violations(claim, subject)
        case Reach():
            return reach.violations(claim, subject)
        case Subset() | Equal():
            return inclusion.violations(claim, subject)
        case _:
            assert_never(claim)


def _negated(claim: Claim) -> bool:
    return isinstance(claim, Reach) and claim.negated


def _witness(point: dict[str, int]) -> Witness:
    queries, keys = (point["nq"], point["nk"]) if "nq" in point else (point["n"], None)
    return Witness(queries, point["i"], point.get("j"), keys)


def _value(term: object) -> int:
    if not isinstance(term, Integer):
        raise TypeError("the stated length is folded by bind")
    return term.value
