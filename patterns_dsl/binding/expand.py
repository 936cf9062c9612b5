"""From expressions as written to core form: calls, memberships and bounded ``exists`` are expanded away.

    f(a)                      -> body of f in its own scope, its parameters standing for core terms
    t in { j : F }            -> F with j standing for t      (and 0 <= t < n when t is not a position by itself)
    (s, t) in { (i, j) : F }  -> F with i, j standing for s, t, within the pairs that the direction allows
    (s, t) in A @ B           -> exists k : (s, k) in A and (k, t) in B
    exists k in lo..hi : F    -> F at lo, or F at lo + 1, ... or F at hi

Names stand for core terms through a scope, and a binder whose name is in use gets a new one, so that nothing is
captured.
"""

from __future__ import annotations

from typing import assert_never

from .. import syntax
from ..builtin.natives import LONE, NATIVES
from ..diagnostics import codes
from ..diagnostics.source import Span
from ..formatting.spell import spell
from ..syntax import Expression, Formula, Term
from .formulas import Formulas, false
from .scope import Closure, Scope


class Expansion(Formulas):
    """The expansion of one pattern of one direction."""

    def relation(self, expression: Expression, scope: Scope, *, alone: bool = False) -> Expression:
        """The core form of a relation. ``alone``: it is a term of a step's union, and may be gated or pooled."""
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
                return self.called_relation(expression, scope, alone)
            case syntax.Union(left, right):
                first, second = (self.relation(each, scope, alone=alone) for each in (left, right))
                return syntax.Union(first, second, span=place)
            case syntax.Intersection(left, right):
                return syntax.Intersection(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Difference(left, right):
                return syntax.Difference(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Composition(left, right):
                self.refuse_hops("`@`", expression.span)
                return syntax.Composition(self.relation(left, scope), self.relation(right, scope), span=place)
            case syntax.Complement(operand):
                return syntax.Complement(self.relation(operand, scope), span=place)
            case syntax.Gated(operand):
                self.refuse_inside("gated", expression.span, alone)
                return syntax.Gated(self.relation(operand, scope, alone=alone), self.gate(expression), span=place)
            case syntax.Pooled():
                raise TypeError("a pooled term is made here, never parsed")
            case _:
                assert_never(expression)

    def gate(self, term: syntax.Gated) -> str:
        """What the gate of a term is called: the term spelled out, inside the call that led to it. How the text is laid
        out makes no difference: what was learned for a gate is stored under its name."""
        return ": ".join(dict.fromkeys([*(spell(frame.call) for frame in self.findings.frames[:1]), spell(term)]))

    def called_relation(self, call: syntax.Call, scope: Scope, alone: bool) -> Expression:
        value = scope.values.get(call.name)
        if not call.arguments and isinstance(value, syntax.Selector):
            return self.refuse_selection(value, call.span, "a relation")
        if not call.arguments and isinstance(value, Closure):
            return self.relation(value.body, value.scope, alone=alone) if value.relation else self.refuse_set(call)
        if self.is_native(call, scope):
            return self.native_relation(call, scope, alone)
        entered = self.enter(call, scope)
        if entered is None:
            return no_pairs(self.findings.place(call.span))
        frame, inner = entered
        with self.findings.inside(frame):
            return self.relation(frame.body, inner, alone=alone)

    def is_native(self, call: syntax.Call, scope: Scope) -> bool:
        """Whether the call is of a relation of the language itself: a file's own rules and steps come first."""
        known = (call.name in scope.steps and not call.arguments) or scope.rule(call.name) is not None
        return call.name in NATIVES and not known

    def native_relation(self, call: syntax.Call, scope: Scope, alone: bool) -> Expression:
        place = self.findings.place(call.span)
        if call.name in LONE:
            self.refuse_inside(call.name, call.span, alone)
        with self.variables(scope, "i", "j", span=call.span) as (inner, names):
            query, key = (inner.values[name] for name in ("i", "j"))
            assert isinstance(query, syntax.Name) and isinstance(key, syntax.Name)
            pairs = syntax.Pairs(names[0], names[1], self.native(call, scope, query, key), span=place)
        if call.name == "pooled":
            size = self.native_number(call, scope, "s")
            return syntax.Pooled(pairs, size, span=place)
        return pairs

    # --- membership of a pair in a relation ---

    def related(self, expression: Expression, scope: Scope, query: Term, key: Term) -> Formula:
        """The core formula of ``(query, key) in expression``; both are core terms, ``scope`` is the relation's."""
        self.count(expression.span)
        span = self.findings.place(expression.span)
        match expression:
            case syntax.Pairs(query_name, key_name, formula):
                for name in (query_name, key_name):
                    self.variable(name, expression.span)
                inside = self.formula(formula, scope.having(**{query_name: query, key_name: key}))
                return self.conjunction([self.allowed(query, key, span), inside], span)
            case syntax.Call():
                return self.related_by_call(expression, scope, query, key)
            case syntax.Union(left, right):
                either = (self.related(each, scope, query, key) for each in (left, right))
                return syntax.Or(*either, span=span)
            case syntax.Intersection(left, right):
                both = (self.related(each, scope, query, key) for each in (left, right))
                return syntax.And(*both, span=span)
            case syntax.Difference(left, right):
                without = syntax.Not(self.related(right, scope, query, key), span=span)
                return syntax.And(self.related(left, scope, query, key), without, span=span)
            case syntax.Complement(operand):
                without = syntax.Not(self.related(operand, scope, query, key), span=span)
                return self.conjunction([self.allowed(query, key, span), without], span)
            case syntax.Composition(left, right):
                self.refuse_hops("`@`", expression.span)
                with self.variables(scope, "k", span=expression.span) as (_, names):
                    between = syntax.Name(names[0], span=span)
                    first, second = self.related(left, scope, query, between), self.related(right, scope, between, key)
                    return syntax.Exists(names[0], syntax.And(first, second, span=span), span=span)
            case syntax.Gated():
                self.refuse_inside("gated", expression.span, False)
                return false(span)
            case syntax.Positions() | syntax.Elements():
                self.refuse_set(expression)
                return false(span)
            case syntax.Pooled():
                raise TypeError("a pooled term is made here, never parsed")
            case _:
                assert_never(expression)

    def related_by_call(self, call: syntax.Call, scope: Scope, query: Term, key: Term) -> Formula:
        span = self.findings.place(call.span)
        value = scope.values.get(call.name)
        if not call.arguments and isinstance(value, syntax.Selector):
            self.refuse_selection(value, call.span, "a relation")
            return false(span)
        if not call.arguments and isinstance(value, Closure):
            if value.relation:
                return self.related(value.body, value.scope, query, key)
            self.refuse_set(call)
            return false(span)
        if self.is_native(call, scope):
            if call.name in LONE:
                self.refuse_inside(call.name, call.span, False)
            inside = self.native(call, scope, query, key)
            return self.conjunction([self.allowed(query, key, span), inside], span)
        entered = self.enter(call, scope)
        if entered is None:
            return false(span)
        frame, inner = entered
        with self.findings.inside(frame):
            return self.related(frame.body, inner, query, key)

    # --- refusals ---

    def refuse_hops(self, what: str, span: Span, does: str = "takes hops") -> None:
        """A hop ends where the next begins: its keys must be queries too."""
        if self.direction is syntax.Direction.CROSS:
            message = f"{what} {does}, and the keys of a cross pattern are not its queries"
            self.findings.report(codes.TWO_SEQUENCES, message, span, "declare the pattern `causal` or `bidirectional`")

    def refuse_inside(self, what: str, span: Span, alone: bool) -> None:
        if not alone:
            message = f"a `{what}` term stands alone or in a union, not inside another operator"
            self.findings.report(codes.LONE_TERM, message, span, "join it to the rest of the step with `|`")

    def refuse_set(self, expression: Expression) -> Expression:
        text = self.findings.shown(expression.span).text
        message = f"`{text}` is a set of positions, and a relation is expected here"
        help = f"`columns({text})` lets every query attend to it, `rows({text})` lets it attend to every key"
        self.findings.report(codes.NOT_A_RELATION, message, expression.span, help)
        return no_pairs(expression.span)

    def refuse_selection(self, selector: syntax.Selector, span: Span, expected: str) -> Expression:
        meaning = self.role(selector).value.format(name=selector.name)
        message = f"`{selector.name}` is not {expected} by itself"
        self.findings.report(codes.SELECTION_KIND, message, span, f"`{selector.kind}` selects {meaning}")
        return no_pairs(self.findings.place(span))


def no_pairs(span: Span) -> Expression:
    return syntax.Pairs("i", "j", false(span), span=span)
