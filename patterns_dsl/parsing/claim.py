"""From what the parser reads to claims."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from .. import syntax
from ..diagnostics import codes
from ..diagnostics.source import Span
from .build import Builder
from .kinds import as_expression


class ClaimBuilder(Builder):
    """The methods for what may follow ``prove``: each gives the claim without its stated length."""

    def claim(self, span: Span, children: list[Any]) -> syntax.Claim:
        claim, at = children
        stated: syntax.Claim = replace(claim, at=at, span=span)
        return stated

    def plan_claim(self, span: Span, children: list[Any]) -> syntax.PlanClaim:
        claim, at = children
        stated: syntax.PlanClaim = replace(claim, at=at, span=span)
        return stated

    def at(self, span: Span, children: list[Any]) -> syntax.Lengths:
        return syntax.Lengths(tuple(children), span=span)

    def length(self, span: Span, children: list[Any]) -> tuple[str, syntax.Term]:
        name, length = children
        if name not in ("n", "nq", "nk"):
            self.report(codes.SYNTAX, f"a stated length is written `at n = N`, not `at {name}`", span)
        return name, length

    # --- of a pattern ---

    def nonempty(self, span: Span, children: list[Any]) -> syntax.Nonempty:
        return syntax.Nonempty(span=span)

    def causal(self, span: Span, children: list[Any]) -> syntax.Causal:
        return syntax.Causal(span=span)

    def symmetric(self, span: Span, children: list[Any]) -> syntax.Symmetric:
        return syntax.Symmetric(span=span)

    def within_steps(self, span: Span, children: list[Any]) -> tuple[syntax.Term, bool]:
        steps, any_order = children
        return steps, any_order is not None

    def within_order(self, span: Span, children: list[Any]) -> tuple[None, bool]:
        return None, True

    def any_order(self, span: Span, children: list[Any]) -> str:
        return "any order"

    def reach(self, span: Span, children: list[Any]) -> syntax.Reach:
        steps, any_order = children[0]
        return syntax.Reach(steps, any_order=any_order, span=span)

    def not_reach(self, span: Span, children: list[Any]) -> syntax.Reach:
        steps, any_order = children[0] or (None, False)
        return syntax.Reach(steps, negated=True, any_order=any_order, span=span)

    def subset(self, span: Span, children: list[Any]) -> syntax.Subset:
        name = children[0].name if isinstance(children[0], syntax.Name) else ""
        meant = get_close_matches(name, ("keys", "cache", "density"), n=1)
        if meant and as_expression(children[1]) is None:  # a bound is a number or a ratio: no relation was meant
            message, help = f"there is no claim `{name}`", f"did you mean `{meant[0]}`?"
            self.report(codes.KIND, message, children[0].span, help, fix=meant[0])
            return syntax.Subset(syntax.Elements((), span=span), syntax.Elements((), span=span), span=span)
        return syntax.Subset(self.relation(children[0]), self.relation(children[1]), span=span)

    def equal(self, span: Span, children: list[Any]) -> syntax.Equal:
        return syntax.Equal(self.relation(children[0]), self.relation(children[1]), span=span)

    def disjoint(self, span: Span, children: list[Any]) -> syntax.Disjoint:
        return syntax.Disjoint(self.relation(children[0]), self.relation(children[1]), span=span)

    def keys(self, span: Span, children: list[Any]) -> syntax.Keys:
        return syntax.Keys(self.term(children[0]), span=span)

    def cache(self, span: Span, children: list[Any]) -> syntax.Cache:
        return syntax.Cache(self.term(children[0]), span=span)

    def density(self, span: Span, children: list[Any]) -> syntax.Density:
        most = children[0]
        if not isinstance(most, syntax.Ratio | syntax.Name):
            message = f"a density is a ratio, and `{most.span.text}` is not"
            self.report(codes.KIND, message, most.span, "write `10%`, or the name of a ratio parameter")
            most = syntax.Ratio(100.0, span=most.span)
        return syntax.Density(most, span=span)

    # --- of a plan ---

    def in_layers(self, span: Span, children: list[Any]) -> tuple[syntax.Term, bool]:
        _, any_run, layers, _ = children
        return layers, any_run is not None

    def plan_reach(self, span: Span, children: list[Any]) -> syntax.PlanReach:
        layers, any_run = children[0] or (None, False)
        return syntax.PlanReach(layers, any_run=any_run, span=span)

    def plan_not_reach(self, span: Span, children: list[Any]) -> syntax.PlanReach:
        layers, any_run = children[0] or (None, False)
        return syntax.PlanReach(layers, negated=True, any_run=any_run, span=span)

    def plan_cache(self, span: Span, children: list[Any]) -> syntax.PlanCache:
        return syntax.PlanCache(self.term(children[0]), span=span)
