"""Binding of claims: their relations in core form, their numbers known; and claims that cannot both hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar, assert_never

from .. import syntax
from ..diagnostics import codes
from ..diagnostics.diagnostic import Label
from ..syntax import Claim, Direction, Integer, Lengths, Term
from .expand import Expansion
from .scope import Findings, Scope

ClaimT = TypeVar("ClaimT", bound=Claim)


def bind_claim(claim: Claim, scope: Scope, expansion: Expansion) -> Claim:
    """The claim with its relations in core form."""
    at = bind_lengths(claim.at, scope, expansion)
    match claim:
        case syntax.Nonempty() | syntax.Causal():
            return replace(claim, at=at)
        case syntax.Symmetric():
            expansion.refuse_hops("`symmetric`", claim.span, does="mirrors pairs")
            return replace(claim, at=at)
        case syntax.Reach(steps, negated, any_order):
            expansion.refuse_hops("`reach`", claim.span)
            if negated and any_order:
                message = "`not reach in any layer order` can be read in two ways"
                help = "write `not reach in K steps`: it speaks of the order in which the steps are written"
                expansion.findings.report(codes.IDLE_CLAIM, message, claim.span, help)
            number = None if steps is None else _number(steps, "the number of steps", scope, expansion)
            return replace(claim, at=at, steps=number)
        case syntax.Subset() | syntax.Equal() | syntax.Disjoint():
            left, right = (expansion.relation(side, scope, alone=True) for side in (claim.left, claim.right))
            return replace(claim, at=at, left=left, right=right)
        case syntax.Keys(most):
            return replace(claim, at=at, most=_bound(most, scope, expansion))
        case syntax.Cache(most):
            if expansion.direction is not Direction.CAUSAL:
                message = "a cache is kept while decoding, and only a causal pattern decodes"
                expansion.findings.report(
                    codes.IDLE_CLAIM, message, claim.span, "`keys <= ...` bounds what a query reads"
                )
            return replace(claim, at=at, most=_bound(most, scope, expansion))
        case syntax.Density(most):
            if at is None:
                there = ", ".join(f"{name} = 4096" for name in expansion.lengths)
                message, help = "a density is that of a stated length", f"add `at {there}`"
                expansion.findings.report(codes.IDLE_CLAIM, message, claim.span, help)
            return replace(claim, at=at, most=_ratio(most, scope, expansion))
        case _:
            assert_never(claim)


def bind_lengths(at: Lengths | None, scope: Scope, expansion: Expansion) -> Lengths | None:
    """The stated lengths as numbers: one for each length of the direction."""
    if at is None:
        return None
    given = [name for name, _ in at.lengths]
    if sorted(given) != sorted(expansion.lengths):
        there = ", ".join(f"{name} = N" for name in expansion.lengths)
        message = f"a stated length of a {expansion.direction} pattern is written `at {there}`"
        expansion.findings.report(codes.LENGTH_NAME, message, at.span)
        return replace(at, lengths=tuple((name, Integer(1, span=at.span)) for name in expansion.lengths))
    terms = ((name, _number(term, "the stated length", scope, expansion)) for name, term in at.lengths)
    return replace(at, lengths=tuple(terms))


def _number(term: Term, what: str, scope: Scope, expansion: Expansion) -> Integer:
    return Integer(expansion.positive(term, what, scope), span=term.span)


def _bound(term: Term, scope: Scope, expansion: Expansion) -> Term:
    """A bound in the lengths and numbers: kept as written, ``min`` and ``max`` included."""
    return expansion.term(term, scope)


def _ratio(most: syntax.Ratio | Term, scope: Scope, expansion: Expansion) -> syntax.Ratio:
    known = scope.values.get(most.name) if isinstance(most, syntax.Name) else most
    if isinstance(known, syntax.Ratio):
        return known
    message = f"a density is a ratio, and `{most.span.text}` is not"
    expansion.findings.report(codes.KIND, message, most.span, "write `10%`, or the name of a ratio parameter")
    return syntax.Ratio(100.0, span=most.span)


def contradictions(claims: Sequence[Claim], findings: Findings) -> None:
    """Reports pairs of claims that cannot both hold, whatever the pattern is."""
    for first, second in combinations(claims, 2):
        if _contradict(first, second) or _contradict(second, first):
            message = f"`{_text(second)}` contradicts `{_text(first)}`"
            labels = (Label(first.span, "both cannot hold"),)
            findings.report(codes.CONTRADICTION, message, second.span, "remove one of the two", labels=labels)


def _contradict(one: Claim, two: Claim) -> bool:
    """Connected in K steps, and not connected in M >= K, or in any number."""
    match one, two:
        case syntax.Reach(k, False), syntax.Reach(m, True):
            same_lengths = one.at is None or one.at == two.at  # what holds at every length holds at each
            more = m is None or (isinstance(m, Integer) and isinstance(k, Integer) and m.value >= k.value)
            return same_lengths and more
        case _:
            return False


def _text(claim: Claim) -> str:
    return " ".join(claim.span.text.split()).removeprefix("prove ")
