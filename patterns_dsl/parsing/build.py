"""From what the parser reads to the syntax tree."""

from __future__ import annotations

from typing import Any

from .. import syntax
from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Fix
from ..diagnostics.source import Source, Span
from ..syntax.terms import LARGEST
from .kinds import FUNCTIONS, as_expression, as_term


class Builder:
    """One method for each rule of the grammar, of what was built of its children: nodes, texts of tokens, None for an
    optional part left out. Collects what the grammar alone could not refuse."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []

    def report(self, code: str, message: str, span: Span, *help: str, fix: str | None = None) -> None:
        """``fix`` is what the text of the span should be, where that is known."""
        mended = None if fix is None else Fix(f"replace it with `{fix}`", span, fix)
        self.found.append(Diagnostic(code, message, span, help=help, fix=mended))

    # --- kinds ---

    def term(self, value: syntax.Value) -> syntax.Term:
        term = as_term(value)
        if term is None:
            kind = "a ratio" if isinstance(value, syntax.Ratio) else "a relation or a set"
            self.report(codes.KIND, f"a number is expected here, and this is {kind}", value.span)
            return syntax.Integer(1, span=value.span)
        return term

    def relation(self, value: syntax.Value) -> syntax.Expression:
        """A value that stands where only a relation or a set can."""
        expression = as_expression(value)
        if expression is None:
            kind = "ratio" if isinstance(value, syntax.Ratio) else "number"
            message = f"a relation or a set of positions is expected here, and `{value.span.text}` is a {kind}"
            example = f"`{{{value.span.text}}}` is the set with this one position" if kind == "number" else ""
            self.report(codes.KIND, message, value.span, *filter(None, [example]))
            return syntax.Elements((), span=value.span)
        return expression

    # --- terms ---

    def name(self, span: Span, children: list[Any]) -> str:
        return str(children[0])

    def coordinate(self, span: Span, children: list[Any]) -> syntax.Coordinate:
        return syntax.Coordinate(children[0], children[1], span=span)

    def function(self, span: Span, children: list[Any]) -> syntax.Function:
        name, *arguments = children
        if name not in FUNCTIONS:
            message = f"`{span.text}` is no number: the functions on numbers are `abs`, `min` and `max`"
            self.report(codes.KIND, message, span, f"membership in a relation is written `(i, j) in {name}(...)`")
        elif name == "abs" and len(arguments) != 1:
            self.report(codes.ARGUMENT_COUNT, f"`abs` takes one argument, {len(arguments)} given", span)
        return syntax.Function(name, tuple(arguments), span=span)

    def variable(self, span: Span, children: list[Any]) -> syntax.Name:
        return syntax.Name(children[0], span=span)

    def integer(self, span: Span, children: list[Any]) -> syntax.Integer:
        return syntax.Integer(self.literal(children[0], span), span=span)

    def literal(self, digits: str, span: Span) -> int:
        digits = digits.replace("_", "")
        if len(digits) > 19 or int(digits) > LARGEST:
            message = f"numbers go up to 2^62, and this one has {len(digits)} digits"
            self.report(codes.NUMBER_SIZE, message, span, "a window as wide as any sequence is `everything`")
            return 1
        return int(digits)

    def ratio(self, span: Span, children: list[Any]) -> syntax.Ratio:
        percent = float(children[0][:-1])
        if percent > 100:
            self.report(codes.OUT_OF_RANGE, "a ratio is at most 100%", span)
        return syntax.Ratio(min(percent, 100.0), span=span)

    def infix(self, span: Span, children: list[Any]) -> syntax.Value:
        left, operator, right = children
        if operator == "@":
            return syntax.Composition(self.relation(left), self.relation(right), span=span)
        if operator == "-" and (as_term(left) is None or as_term(right) is None):
            return syntax.Difference(self.relation(left), self.relation(right), span=span)
        if as_term(left) is None or as_term(right) is None:
            message = f"`{operator}` is arithmetic, and not every part of this is a number"
            self.report(codes.KIND, message, span, "a union is written `|`, an intersection `&`, two hops `@`")
            return syntax.Elements((), span=span)
        return syntax.Arithmetic(str(operator), self.term(left), self.term(right), span=span)

    def power(self, span: Span, children: list[Any]) -> syntax.Term:
        return syntax.Arithmetic("^", self.term(children[0]), self.term(children[1]), span=span)

    def negative(self, span: Span, children: list[Any]) -> syntax.Term:
        return syntax.Negative(self.term(children[0]), span=span)

    # --- formulas ---

    def comparison(self, span: Span, children: list[Any]) -> syntax.Comparison:
        return syntax.Comparison(tuple(children[::2]), tuple(children[1::2]), span=span)

    def comparator(self, span: Span, children: list[Any]) -> str:
        return str(children[0])

    def membership(self, span: Span, children: list[Any]) -> syntax.Membership:
        return syntax.Membership(children[0], self.relation(children[1]), span=span)

    def pair_membership(self, span: Span, children: list[Any]) -> syntax.PairMembership:
        return syntax.PairMembership(children[0], children[1], self.relation(children[2]), span=span)

    def and_(self, span: Span, children: list[Any]) -> syntax.And:
        return syntax.And(children[0], children[1], span=span)

    def or_(self, span: Span, children: list[Any]) -> syntax.Or:
        return syntax.Or(children[0], children[1], span=span)

    def not_(self, span: Span, children: list[Any]) -> syntax.Not:
        return syntax.Not(children[0], span=span)

    def exists(self, span: Span, children: list[Any]) -> syntax.Exists:
        variable, low, high, body = children
        return syntax.Exists(variable, body, None if low is None else (low, high), span=span)

    # --- relations and sets of positions ---

    def union(self, span: Span, children: list[Any]) -> syntax.Union:
        return syntax.Union(self.relation(children[0]), self.relation(children[1]), span=span)

    def intersection(self, span: Span, children: list[Any]) -> syntax.Intersection:
        return syntax.Intersection(self.relation(children[0]), self.relation(children[1]), span=span)

    def complement(self, span: Span, children: list[Any]) -> syntax.Complement:
        return syntax.Complement(self.relation(children[0]), span=span)

    def gated(self, span: Span, children: list[Any]) -> syntax.Gated:
        return syntax.Gated(self.relation(children[0]), span=span)

    def pairs(self, span: Span, children: list[Any]) -> syntax.Pairs:
        return syntax.Pairs(*children, span=span)

    def positions(self, span: Span, children: list[Any]) -> syntax.Positions:
        return syntax.Positions(*children, span=span)

    def elements(self, span: Span, children: list[Any]) -> syntax.Elements:
        return syntax.Elements(present(children), span=span)

    def interval(self, span: Span, children: list[Any]) -> tuple[syntax.Term, syntax.Term]:
        low, high = children
        return low, low if high is None else high

    def call(self, span: Span, children: list[Any]) -> syntax.Call:
        name, arguments = children
        return syntax.Call(name, arguments or (), span=span)

    def arguments(self, span: Span, children: list[Any]) -> tuple[syntax.Argument, ...]:
        return present(children)

    def choices(self, span: Span, children: list[Any]) -> syntax.Choices:
        return syntax.Choices(present(children), span=span)

    def argument(self, span: Span, children: list[Any]) -> syntax.Argument:
        return syntax.Argument(*children, span=span)


def present(children: list[Any]) -> tuple[Any, ...]:
    """The children that were written; the grammar gives None for the others."""
    return tuple(child for child in children if child is not None)
