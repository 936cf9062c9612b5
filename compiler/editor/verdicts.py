"""Verdicts that are known already: one for each claim of each pattern, by what they mean.

Bound trees compare by meaning. So an edit elsewhere in a file leaves the verdicts of a pattern known, an edit of one
claim those of the others, and only their places in the text are found anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from ...patterns_dsl.diagnostics.source import Span
from ...patterns_dsl.syntax import BoundPattern, BoundPlan, Claim, Node, PlanClaim
from ..verify.result import Result

Subject: TypeAlias = BoundPattern | BoundPlan

MOST = 512
"""Patterns whose verdicts are kept."""


@dataclass(slots=True)
class Verdicts:
    """``known``: by pattern, then by claim and how it is written (verdicts quote it), the result, and the subject that
    it was found for, into whose text its spans point."""

    known: dict[Subject, dict[tuple[Claim | PlanClaim, str], tuple[Subject, Result]]] = field(default_factory=dict)

    def of(self, subject: Subject) -> tuple[Result | None, ...]:
        """The verdict on each claim, with its places in the text of the subject; None where none is known."""
        known = self.known.get(meaning(subject), {})
        found = (known.get((claim, _written(claim))) for claim in subject.claims)
        return tuple(
            one and moved(one[1], one[0], subject, claim) for one, claim in zip(found, subject.claims, strict=True)
        )

    def missing(self, subject: Subject) -> Subject | None:
        """The subject with the claims that have no verdict yet; None where all have."""
        results = self.of(subject)
        left = [claim for claim, result in zip(subject.claims, results, strict=True) if result is None]
        return with_claims(subject, left) if left else None

    def add(self, subject: Subject, results: Sequence[Result]) -> None:
        """The verdicts on the claims of a subject, in order."""
        known = self.known.setdefault(meaning(subject), {})
        for claim, result in zip(subject.claims, results, strict=True):
            known[claim, _written(claim)] = (subject, result)
        while len(self.known) > MOST:
            del self.known[next(iter(self.known))]


def meaning(subject: Subject) -> Subject:
    """What a verdict on a claim depends on."""
    return replace(with_claims(subject, ()), documentation=None)


def with_claims(subject: Subject, claims: Sequence[Claim | PlanClaim]) -> Subject:
    """The subject with some of its claims."""
    return replace(subject, claims=tuple(claims))  # type: ignore[arg-type]


def _written(claim: Claim | PlanClaim) -> str:
    return " ".join(claim.span.text.split())


def moved(result: Result, before: Subject, now: Subject, claim: Claim | PlanClaim) -> Result | None:
    """A result with its places in another text of the same meaning; None where a place is not found there."""
    if result.span is None and result.fix is None:
        return replace(result, claim=claim)
    pairs = [*zip(_places(before), _places(now), strict=True)]
    pairs.reverse()  # of nodes at one place, the outermost counts
    spans = {(one.start, one.end): two for one, two in pairs}
    ends = {one.end: Span(two.source, two.end, two.end) for one, two in pairs}
    span = result.span and spans.get((result.span.start, result.span.end))
    fix = result.fix
    if fix is not None:
        inserts = fix.span.start == fix.span.end
        place = ends.get(fix.span.end) if inserts else spans.get((fix.span.start, fix.span.end))
        fix = None if place is None else replace(fix, span=place)
    lost = (result.span is not None and span is None) or (result.fix is not None and fix is None)
    return None if lost else replace(result, claim=claim, span=span, fix=fix)


def _places(subject: Subject) -> Iterator[Span]:
    """The spans of all nodes, in the order of the tree: of two subjects with one meaning, node by node."""
    todo: list[Any] = [meaning(subject)]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple):
            todo += node
        elif isinstance(node, Node):
            yield node.span
            todo += [getattr(node, part.name) for part in fields(node) if part.name != "span"]
