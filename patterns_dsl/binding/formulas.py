"""From formulas as written to core form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import assert_never

from .. import syntax
from ..builtin.natives import NATIVES
from ..diagnostics import codes
from ..diagnostics.source import Span
from ..syntax import Direction, Expression, Formula, Term
from .cases import Case, cases
from .fold import Unfoldable
from .scope import Closure, Scope
from .selections import Selections
from .terms import LARGEST_EXPANSION, LENGTHS

LONG_ROW = 16


class Formulas(Selections):
    """The part of an expansion that knows formulas, and sets of positions, whose membership is one."""

    def formula(self, formula: Formula, scope: Scope) -> Formula:
        """The core form of a formula."""
        span = formula.span
        self.count(span)
        match formula:
            case syntax.Comparison(terms, operators):
                return self.comparison(tuple(self.term(term, scope) for term in terms), operators, span)
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
                    parts = [self.formula(body, inside)]
                    if self.measures:  # by itself it would range over all tokens
                        parts.insert(0, self.some_position(syntax.Name(names[0], span=span), span))
                    return syntax.Exists(names[0], self.conjunction(parts, span), span=span)
            case syntax.Membership(term, positions):
                value = self.term(term, scope)
                inside_set, guard = self.contains(positions, scope, value), self.position(value, span)
                return inside_set if guard is None else syntax.And(guard, inside_set, span=span)
            case syntax.PairMembership(query, key, relation):
                return self.related(relation, scope, self.term(query, scope), self.term(key, scope))
            case syntax.Chosen() | syntax.Drawn():
                raise TypeError("selections are made here, never parsed")
            case _:
                assert_never(formula)

    def related(self, expression: Expression, scope: Scope, query: Term, key: Term) -> Formula:
        """``(query, key) in expression``: see ``Expansion``."""
        raise NotImplementedError

    def comparison(self, terms: Sequence[Term], operators: Sequence[str], span: Span) -> Formula:
        """A comparison of core terms, split into cases where ``abs``, ``min`` or ``max`` occurs."""
        try:
            choices: list[tuple[Case, ...]] = [cases(term) for term in terms]
        except Unfoldable as error:
            self.findings.report(error.code, error.message, span, error.help)
            return false(span)
        found: list[Formula] = []
        for choice in product(*choices):
            self.count(span)
            compared = syntax.Comparison(tuple(term for _, term in choice), tuple(operators), span=span)
            found.append(self.conjunction([*(guard for when, _ in choice for guard in when), compared], span))
        return self.any_of(found, span)

    def any_of(self, parts: Sequence[Formula], span: Span) -> Formula:
        """The disjunction as a balanced tree, since later passes recurse over it."""
        if len(parts) < 2:
            return parts[0] if parts else false(span)
        middle = len(parts) // 2
        return syntax.Or(self.any_of(parts[:middle], span), self.any_of(parts[middle:], span), span=span)

    def conjunction(self, parts: Sequence[Formula], span: Span) -> Formula:
        """The conjunction of at least one formula; of many, as a balanced tree."""
        if len(parts) > LONG_ROW:
            middle = len(parts) // 2
            halves = (self.conjunction(part, span) for part in (parts[:middle], parts[middle:]))
            return syntax.And(*halves, span=span)
        whole = parts[0]
        for part in parts[1:]:
            whole = syntax.And(whole, part, span=span)
        return whole

    def interval(self, bounds: tuple[Term, Term], scope: Scope) -> range:
        low, high = (self.constant(bound, scope, "a bound of `exists`") for bound in bounds)
        if low is None or high is None:
            return range(0)
        if high - low >= LARGEST_EXPANSION:
            span, help = bounds[0].span.to(bounds[1].span), "`exists k : ...` without bounds ranges over the positions"
            self.findings.report(codes.INTERVAL, f"{high - low + 1:,} values are too many to write out", span, help)
            return range(0)
        return range(low, high + 1)

    # --- positions and pairs ---

    def position(self, term: Term, span: Span) -> Formula | None:
        """That a computed term is a position at all. A coordinate is one by itself."""
        if isinstance(term, syntax.Name) and term.name not in LENGTHS and not self.measures:
            return None
        return self.some_position(term, span)

    def some_position(self, term: Term, span: Span) -> Formula:
        """``0 <= term < n``; in a cross pattern, below the longer side."""
        zero = syntax.Integer(0, span=span)
        within = [self.comparison((zero, term, self.measure(name, span)), ("<=", "<"), span) for name in self.lengths]
        return self.any_of(within, span)

    def measure(self, length: str, span: Span) -> Term:
        return self.measures.get(length, syntax.Name(length, span=span))

    def allowed(self, query: Term, key: Term, span: Span) -> Formula:
        """That a computed pair is one that the direction allows."""
        zero = syntax.Integer(0, span=span)
        last = self.measure(self.lengths[0], span), self.measure(self.lengths[-1], span)
        if self.direction is Direction.CAUSAL:
            return self.comparison((zero, key, query, last[0]), ("<=", "<=", "<"), span)
        sides = [
            self.comparison((zero, side, end), ("<=", "<"), span) for side, end in zip((query, key), last, strict=True)
        ]
        return self.conjunction(sides, span)

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
            case syntax.Call():
                return self.contained_by_call(positions, scope, term)
            case syntax.Union(left, right):
                return syntax.Or(self.contains(left, scope, term), self.contains(right, scope, term), span=span)
            case syntax.Intersection(left, right):
                return syntax.And(self.contains(left, scope, term), self.contains(right, scope, term), span=span)
            case syntax.Difference(left, right):
                outside = syntax.Not(self.contains(right, scope, term), span=span)
                return syntax.And(self.contains(left, scope, term), outside, span=span)
            case syntax.Complement(operand):
                return syntax.Not(self.contains(operand, scope, term), span=span)
            case syntax.Pairs() | syntax.Composition() | syntax.Gated() | syntax.Pooled():
                return self.refuse_relation(positions)
            case _:
                assert_never(positions)

    def contained_by_call(self, call: syntax.Call, scope: Scope, term: Term) -> Formula:
        span = self.findings.place(call.span)
        value = scope.values.get(call.name)
        if not call.arguments and isinstance(value, syntax.Selector):
            return self.chosen_position(value, term, call.span)
        if not call.arguments and isinstance(value, Closure):
            return self.refuse_relation(call) if value.relation else self.contains(value.body, value.scope, term)
        if call.name in NATIVES and scope.rule(call.name) is None:
            return self.refuse_relation(call)
        entered = self.enter(call, scope)
        if entered is None:
            return false(span)
        frame, inner = entered
        with self.findings.inside(frame):
            return self.contains(frame.body, inner, term)

    def refuse_relation(self, expression: Expression) -> Formula:
        text = self.findings.shown(expression.span).text
        message = f"`{text}` is a relation, and a set of positions is expected here"
        self.findings.report(codes.NOT_A_RELATION, message, expression.span, "a set is written `{ j : ... }`")
        return false(self.findings.place(expression.span))

    def between(self, term: Term, low: Term, high: Term, scope: Scope, span: Span) -> Formula:
        bottom, top = self.term(low, scope), self.term(high, scope)
        if bottom == top:
            return self.comparison((term, bottom), ("=",), span)
        return self.comparison((bottom, term, top), ("<=", "<="), span)


def false(span: Span) -> Formula:
    zero, one = syntax.Integer(0, span=span), syntax.Integer(1, span=span)
    return syntax.Comparison((zero, one), ("=",), span=span)


def true(span: Span) -> Formula:
    zero = syntax.Integer(0, span=span)
    return syntax.Comparison((zero, zero), ("=",), span=span)
