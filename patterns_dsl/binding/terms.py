"""Terms and variables of an expansion: names become core terms, arithmetic is folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

from .. import syntax
from ..diagnostics import codes
from ..diagnostics.source import Span
from ..syntax import Direction, Term
from .cases import count
from .fold import Unfoldable, arithmetic, function, negative
from .scope import Closure, Findings, Scope, closest, suggestion

LENGTHS = ("n", "nq", "nk")

LARGEST_EXPANSION = 20_000
"""Formulas and relations that one pattern may grow to; more is a slip, and would only be slow later."""

MOST_CASES = 100
"""Linear terms that one term with `abs`, `min` and `max` may stand for."""


class TooLarge(Exception):
    """The expansion passed LARGEST_EXPANSION; already reported."""


@dataclass(frozen=True, slots=True)
class BoundAxis:
    """``(position div stride) mod extent``; the first axis of a grid has no extent."""

    name: str
    stride: int
    extent: int | None


class Terms:
    """The part of an expansion that knows numbers, variables, coordinates and lengths."""

    def __init__(self, direction: Direction, findings: Findings, axes: tuple[BoundAxis, ...] = ()) -> None:
        self.direction = direction
        self.findings = findings
        self.axes = axes
        self.lengths = ("nq", "nk") if direction is Direction.CROSS else ("n",)
        self.measures: Mapping[str, Term] = {}  # a length, where it is not that of the sequence: a number of blocks
        self._taken = set(LENGTHS)  # names of the core variables in whose scope we are
        self._size = 0

    def count(self, span: Span) -> None:
        """Raises TooLarge when the expansion grows past its limit."""
        self._size += 1
        if self._size > LARGEST_EXPANSION:
            message = f"this pattern expands to more than {LARGEST_EXPANSION} formulas"
            remedy = "use shorter intervals in `exists k in lo..hi`, sets of fewer parts, or fewer rules in rules"
            self.findings.report(codes.INTERVAL, message, span, remedy)
            raise TooLarge

    def variable(self, name: str, span: Span) -> None:
        """Reports a variable that takes the name of a length."""
        if name in LENGTHS:
            message = f"`{name}` is the length of the sequence and cannot name a position"
            self.findings.report(codes.RESERVED_NAME, message, span, "use another letter")

    @contextmanager
    def variables(self, scope: Scope, *names: str, span: Span) -> Iterator[tuple[Scope, list[str]]]:
        """The scope inside a binder, and the core names of its variables, which differ from all names in use."""
        core = []
        for name in names:
            self.variable(name, span)
            fresh = next(new for new in _candidates(name) if new not in self._taken)
            self._taken.add(fresh)
            core.append(fresh)
            scope = scope.having(**{name: syntax.Name(fresh, span=span)})
        try:
            yield scope, core
        finally:
            self._taken.difference_update(core)

    @contextmanager
    def measured(self, measures: Mapping[str, Term]) -> Iterator[None]:
        """While a relation is meant over something else than the tokens, such as blocks: its lengths."""
        outer, self.measures = self.measures, measures
        try:
            yield
        finally:
            self.measures = outer

    def term(self, term: Term, scope: Scope) -> Term:
        """The core form of a term: constants folded, linear but for ``abs``, ``min`` and ``max``."""
        try:
            match term:
                case syntax.Integer():
                    return term
                case syntax.Name():
                    return self.named(term, scope)
                case syntax.Negative(inner):
                    return negative(self.term(inner, scope), term.span)
                case syntax.Arithmetic(operator, left, right):
                    return arithmetic(operator, self.term(left, scope), self.term(right, scope), term.span)
                case syntax.Function(name, arguments):
                    value = function(name, tuple(self.term(each, scope) for each in arguments), term.span)
                    if count(value) > MOST_CASES:
                        message = f"this term is a choice of more than {MOST_CASES} others"
                        raise Unfoldable(codes.INTERVAL, message, "use fewer `abs`, `min` and `max` inside each other")
                    return value
                case syntax.Coordinate(position, axis):
                    return self.coordinate(self.term(position, scope), axis, term.span)
                case _:
                    assert_never(term)
        except Unfoldable as error:
            self.findings.report(error.code, error.message, term.span, error.help)
            return syntax.Integer(1, span=term.span)

    def coordinate(self, position: Term, name: str, span: Span) -> Term:
        """``i.row`` is ``i div stride mod extent`` (the first axis: without the ``mod``)."""
        axis = next((axis for axis in self.axes if axis.name == name), None)
        if axis is None and self.axes:
            known = [axis.name for axis in self.axes]
            close, written = closest(name, known), span.text.endswith(f".{name}")
            fix = f"{span.text.removesuffix(name)}{close}" if close and written else None
            message = f"the grid has no axis `{name}`"
            self.findings.report(codes.COORDINATE, message, span, suggestion(name, known), fix=fix)
        elif axis is None:
            help = "give the pattern one: `causal grid(row, column = 64) {`"
            self.findings.report(codes.COORDINATE, f"`.{name}` is a coordinate, and there is no grid", span, help)
        if axis is None:
            return syntax.Integer(1, span=span)
        value = arithmetic("div", position, syntax.Integer(axis.stride, span=span), span)
        if axis.extent is None:
            return value
        return arithmetic("mod", value, syntax.Integer(axis.extent, span=span), span)

    def named(self, name: syntax.Name, scope: Scope) -> Term:
        value = scope.values.get(name.name)
        unknown = syntax.Integer(1, span=name.span)
        match value:
            case syntax.Integer(number):
                return syntax.Integer(number, span=name.span)
            case Closure() | syntax.Ratio() | syntax.Selector():
                message = f"`{name.name}` is {_kind(value)}, and a number is expected here"
                self.findings.report(codes.KIND, message, name.span)
                return unknown
            case None:
                return self.length(name, scope) or unknown
            case _:
                return value

    def length(self, name: syntax.Name, scope: Scope) -> Term | None:
        if name.name in self.lengths:
            return self.measures.get(name.name, name)
        if name.name in LENGTHS:
            there = " and ".join(f"`{length}`" for length in self.lengths)
            message = f"there is no `{name.name}` in a {self.direction} pattern"
            meaning = "the numbers of queries and keys" if len(self.lengths) == 2 else "the length of the sequence"
            fix = self.lengths[0] if len(self.lengths) == 1 else None
            self.findings.report(codes.LENGTH_NAME, message, name.span, f"write {there}, {meaning}", fix=fix)
        elif name.name in scope.relation_names:
            message = f"`{name.name}` is a relation or a set, and a number is expected here"
            self.findings.report(codes.KIND, message, name.span)
        else:
            known = {*scope.values, *self.lengths}
            self.findings.unknown(codes.UNKNOWN_NAME, f"unknown name `{name.name}`", name.name, known, name.span)
        return None

    def constant(self, term: Term, scope: Scope, what: str) -> int | None:
        """The value of a term that must be known without n; None, and a report, otherwise."""
        before = len(self.findings.diagnostics)
        value = self.term(term, scope)
        if isinstance(value, syntax.Integer):
            return None if len(self.findings.diagnostics) > before else value.value
        message = f"{what} must be a known number"
        self.findings.report(codes.NOT_CONSTANT, message, term.span, "use numbers and parameters only")
        return None

    def positive(self, term: Term, what: str, scope: Scope) -> int:
        """The value of a term that must be known and at least 1; 1, and a report, otherwise."""
        value = self.constant(term, scope, what)
        if value is not None and value < 1:
            message = f"{what} must be at least 1, and is {value}"
            self.findings.report(codes.OUT_OF_RANGE, message, term.span)
        return max(1, value or 1)


def _kind(value: Closure | syntax.Ratio | syntax.Selector) -> str:
    match value:
        case syntax.Ratio():
            return "a ratio"
        case syntax.Selector():
            return "a learned selection"
        case Closure(relation=True):
            return "a relation"
        case Closure():
            return "a set of positions"


def _candidates(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        yield f"{name}_{number}"
        number += 1
