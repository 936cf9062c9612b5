"""From expressions as written to core form: calls, memberships and bounded ``exists`` are expanded away.

    f(a)                      -> body of f in its own scope, its parameters standing for core terms
    t in { j : F }            -> F with j standing for t      (and 0 <= t < n when t is not a position by itself)
    exists k in lo..hi : F    -> F at lo, or F at lo + 1, ... or F at hi

Names stand for core terms through a scope, and a binder whose name is in use gets a new one, so that nothing is
captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from . import codes, syntax
from .calls import Calls
from .scope import Closure, Scope
from .source import Span
from .syntax import Expression, Formula, Term
from .terms import LARGEST_EXPANSION


class Expansion(Calls):
    """The expansion of one pattern of one direction."""

    def relation(self, expression: Expression, scope: Scope) -> Expression:
        """The core form of a relation."""
        self.count(expression.span)
        place = self.findings.place(expression.span)
        match expression:
            case syntax.Pairs(query, key, formula):
                if query == key:
                    message, help = f"query and key are both called `{key}`", "write `{ (i, j) : ... }`"
                    self.findings.report(codes.DUPLICATE_NAME, message, expression.span, help)
                with self.variables(scope, query, key, span=expression.span) as (inner, names):
                    return syntax.Pairs(names[0], names[1], self.formula(formula, inner), span=place)
            case syntax.Positions() | syntax.Elements():
                return self.refuse_set(expression)
            case syntax.Call():
                return self.called_relation(expression, scope)
            case syntax.Union(left, right):
                return syntax.Union(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Intersection(left, right):
                return syntax.Intersection(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Difference(left, right):
                return syntax.Difference(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Composition(left, right):
                self.refuse_hops("`@`", expression.span)
                return syntax.Composition(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Complement(operand):
                return syntax.Complement(self.relation(operand, scope), span=place)
            case _:
                assert_never(expression)

    def called_relation(self, call: syntax.Call, scope: Scope) -> Expression:
        value = scope.values.get(call.name)
        if isinstance(value, Closure) and not call.arguments:
            return self.refuse_set(call)
        entered = self.enter(call, scope)
        if entered is None:
            return no_pairs(self.findings.place(call.span))
        frame, inner = entered
        with self.findings.inside(frame):
            return self.relation(frame.body, inner)

    def refuse_hops(self, what: str, span: Span) -> None:
        """A hop ends where the next begins: its keys must be queries too."""
        if self.direction is syntax.Direction.CROSS:
            message = f"{what} takes hops, and the keys of a cross pattern are not its queries"
            self.findings.report(codes.TWO_SEQUENCES, message, span, "declare the pattern `causal` or `bidirectional`")

    def refuse_set(self, expression: Expression) -> Expression:
        text = self.findings.shown(expression.span).text
        message = f"`{text}` is a set of positions, and a relation is expected here"
        help = f"`columns({text})` lets every query attend to it, `rows({text})` lets it attend to every key"
        self.findings.report(codes.NOT_A_RELATION, message, expression.span, help)
        return no_pairs(expression.span)

    # --- membership in a set of positions ---

    def contains(self, positions: Expression, scope: Scope, term: Term) -> Formula:
        """The core formula of ``term in positions``; ``term`` is a core term, ``scope`` is that of the set."""
        self.count(positions.span)
        span = self.findings.place(positions.span)
        match positions:
            case syntax.Positions(variable, formula):
                self.variable(variable, positions.span)
                return self.formula(formula, scope.having(**{variable: term}))
            case syntax.Elements(intervals):
                return self.any_of([self.between(term, *interval, scope, span) for interval in intervals], span)
            case syntax.Call(name) if not positions.arguments and isinstance(scope.values.get(name), Closure):
                value = scope.values[name]
                assert isinstance(value, Closure)
                return self.contains(value.body, value.scope, term)
            case syntax.Call():
                entered = self.enter(positions, scope)
                if entered is None:
                    return false(span)
                frame, inner = entered
                with self.findings.inside(frame):
                    return self.contains(frame.body, inner, term)
            case syntax.Union(left, right):
                return syntax.Or(self.contains(left, scope, term), self.contains(right, scope, term), span=span)
            case syntax.Intersection(left, right):
                return syntax.And(self.contains(left, scope, term), self.contains(right, scope, term), span=span)
            case syntax.Difference(left, right):
                outside = syntax.Not(self.contains(right, scope, term), span=span)
                return syntax.And(self.contains(left, scope, term), outside, span=span)
            case syntax.Complement(operand):
                return syntax.Not(self.contains(operand, scope, term), span=span)
            case syntax.Pairs() | syntax.Composition():
                text = self.findings.shown(positions.span).text
                message = f"`{text}` is a relation, and a set of positions is expected here"
                self.findings.report(codes.NOT_A_RELATION, message, positions.span, "a set is written `{ j : ... }`")
                return false(span)
            case _:
                assert_never(positions)

    def between(self, term: Term, low: Term, high: Term, scope: Scope, span: Span) -> Formula:
        bottom, top = self.term(low, scope), self.term(high, scope)
        if bottom == top:
            return syntax.Comparison((term, bottom), ("=",), span=span)
        return syntax.Comparison((bottom, term, top), ("<=", "<="), span=span)

    def position(self, term: Term, span: Span) -> Formula | None:
        """That a computed term is a position at all. A coordinate is one by itself."""
        if isinstance(term, syntax.Name) and term.name not in ("n", "nq", "nk"):
            return None
        zero = syntax.Integer(0, span=span)
        within = [
            syntax.Comparison((zero, term, syntax.Name(length, span=span)), ("<=", "<"), span=span)
            for length in self.lengths
        ]
        return self.any_of(within, span)

    # --- formulas ---

    def formula(self, formula: Formula, scope: Scope) -> Formula:
        """The core form of a formula."""
        span = formula.span
        self.count(span)
        match formula:
            case syntax.Comparison(terms, operators):
                return syntax.Comparison(tuple(self.term(term, scope) for term in terms), operators, span=span)
            case syntax.And(left, right):
                return syntax.And(self.formula(left, scope), self.formula(right, scope), span=span)
            case syntax.Or(left, right):
                return syntax.Or(self.formula(left, scope), self.formula(right, scope), span=span)
            case syntax.Not(inner):
                return syntax.Not(self.formula(inner, scope), span=span)
            case syntax.Exists(variable, body, bounds) if bounds is not None:
                self.variable(variable, span)
                numbers = [syntax.Integer(number, span=span) for number in self.interval(bounds, scope)]
                return self.any_of([self.formula(body, scope.having(**{variable: k})) for k in numbers], span)
            case syntax.Exists(variable, body):
                with self.variables(scope, variable, span=span) as (inside, names):
                    return syntax.Exists(names[0], self.formula(body, inside), span=span)
            case syntax.Membership(term, positions):
                value = self.term(term, scope)
                inside_set, guard = self.contains(positions, scope, value), self.position(value, span)
                return inside_set if guard is None else syntax.And(guard, inside_set, span=span)
            case _:
                assert_never(formula)

    def any_of(self, cases: Sequence[Formula], span: Span) -> Formula:
        """The disjunction as a balanced tree, since later passes recurse over it."""
        if len(cases) < 2:
            return cases[0] if cases else false(span)
        middle = len(cases) // 2
        return syntax.Or(self.any_of(cases[:middle], span), self.any_of(cases[middle:], span), span=span)

    def interval(self, bounds: tuple[Term, Term], scope: Scope) -> range:
        low, high = (self.constant(bound, scope, "a bound of `exists`") for bound in bounds)
        if low is None or high is None:
            return range(0)
        if high - low >= LARGEST_EXPANSION:
            span, help = bounds[0].span.to(bounds[1].span), "`exists k : ...` without bounds ranges over the positions"
            self.findings.report(codes.INTERVAL, f"{high - low + 1} values are too many", span, help)
            return range(0)
        return range(low, high + 1)


def false(span: Span) -> Formula:
    zero, one = syntax.Integer(0, span=span), syntax.Integer(1, span=span)
    return syntax.Comparison((zero, one), ("=",), span=span)


def no_pairs(span: Span) -> Expression:
    return syntax.Pairs("i", "j", false(span), span=span)
