"""Random syntax trees: all that `parse` can return, and nothing else.

What a value is depends on where it stands. In an argument `a` is a number and `a() - b` a difference; where a relation
must stand, both are relations. In a formula `abs(x)` is a number and `i.row` a coordinate; in an argument the first is
a call until it is part of a sum, and there are no coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.diagnostics.source import Source, Span
from patternc.patterns_dsl.syntax.terms import LARGEST

T = TypeVar("T")
ANYWHERE = Span(Source("drawn", ""), 0, 0)  # spans stay out of equality

SOFT = [
    *("all", "any", "as", "at", "cache", "causal", "density", "disjoint", "from", "grid", "heads", "import", "int"),
    *("interleaved", "keys", "layer", "layers", "merged", "order", "ratio", "relation", "set", "steps", "symmetric"),
]
"""Words of the language that are names too."""

NAMES = st.sampled_from(["a", "b", "i", "j", "k", "n", "far_0", "_"]) | st.sampled_from(SOFT)

INTEGERS = st.integers(0, 20) | st.integers(0, LARGEST)
PERCENT = st.integers(0, 100).map(float) | st.floats(0, 100).map(abs)
COMPARATORS = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])


class Values:
    """One tree in the making. ``deep`` bounds the levels that are still to come."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def one(self, *makers: Callable[[], T]) -> T:
        return self.draw(st.sampled_from(makers))()  # type: ignore[no-any-return]

    def several(self, make: Callable[[], T], least: int = 0, most: int = 2) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.draw(st.integers(least, most))))

    def maybe(self, make: Callable[[], T]) -> T | None:
        return make() if self.draw(st.booleans()) else None

    def name(self) -> str:
        return self.draw(NAMES)  # type: ignore[no-any-return]

    # --- terms ---

    def leaf(self) -> s.Term:
        return self.one(
            lambda: s.Integer(self.draw(INTEGERS), span=ANYWHERE), lambda: s.Name(self.name(), span=ANYWHERE)
        )

    def term(self, deep: int, formula: bool = True) -> s.Term:
        """Of a formula, or of those that stand beside relations."""
        if not deep:
            return self.leaf()

        def inner() -> s.Term:
            return self.term(deep - 1, formula)

        def arithmetic() -> s.Term:
            operator = self.draw(st.sampled_from(["+", "-", "*", "div", "mod", "^"]))
            return s.Arithmetic(operator, inner(), inner(), span=ANYWHERE)

        def extreme() -> s.Term:
            return s.Function(self.draw(st.sampled_from(["min", "max"])), self.several(inner, 1), span=ANYWHERE)

        makers: list[Callable[[], s.Term]] = [
            self.leaf,
            arithmetic,
            arithmetic,
            extreme,
            lambda: s.Negative(inner(), span=ANYWHERE),
            lambda: s.Function("abs", (inner(),), span=ANYWHERE),
        ]
        if formula:
            makers.append(lambda: s.Coordinate(inner(), self.name(), span=ANYWHERE))
        return self.one(*makers)

    # --- formulas ---

    def formula(self, deep: int) -> s.Formula:
        def inner() -> s.Formula:
            return self.formula(deep - 1)

        if not deep:
            return self.comparison(1)
        return self.one(
            lambda: self.comparison(deep),
            lambda: s.And(inner(), inner(), span=ANYWHERE),
            lambda: s.Or(inner(), inner(), span=ANYWHERE),
            lambda: s.Not(inner(), span=ANYWHERE),
            lambda: s.Exists(self.name(), inner(), self.maybe(lambda: (self.term(1), self.term(1))), span=ANYWHERE),
            lambda: s.Membership(self.term(deep), self.relation(deep - 1), span=ANYWHERE),
            lambda: s.PairMembership(self.term(1), self.term(1), self.relation(deep - 1), span=ANYWHERE),
        )

    def comparison(self, deep: int) -> s.Formula:
        operators = tuple(self.draw(st.lists(COMPARATORS, min_size=1, max_size=3)))
        return s.Comparison((self.term(deep), *(self.term(deep) for _ in operators)), operators, span=ANYWHERE)

    # --- relations, sets and arguments ---

    def relation(self, deep: int) -> s.Expression:
        def inner() -> s.Expression:
            return self.relation(deep - 1)

        if not deep:
            return s.Call(self.name(), span=ANYWHERE)
        return self.one(
            lambda: self.call(deep - 1),
            lambda: s.Pairs(self.name(), self.name(), self.formula(deep - 1), span=ANYWHERE),
            lambda: s.Positions(self.name(), self.formula(deep - 1), span=ANYWHERE),
            lambda: s.Elements(self.several(self.interval), span=ANYWHERE),
            lambda: s.Union(inner(), inner(), span=ANYWHERE),
            lambda: s.Intersection(inner(), inner(), span=ANYWHERE),
            lambda: s.Difference(inner(), inner(), span=ANYWHERE),
            lambda: s.Composition(inner(), inner(), span=ANYWHERE),
            lambda: s.Complement(inner(), span=ANYWHERE),
            lambda: s.Gated(inner(), span=ANYWHERE),
        )

    def interval(self) -> tuple[s.Term, s.Term]:
        low = self.term(1)
        return low, self.maybe(lambda: self.term(1)) or low

    def call(self, deep: int) -> s.Call:
        return s.Call(self.name(), self.several(lambda: self.argument(deep)), span=ANYWHERE)

    def argument(self, deep: int) -> s.Argument:
        def choices() -> s.Choices:
            return s.Choices(self.several(self.name), span=ANYWHERE)

        value: s.Value | s.Choices = self.one(lambda: self.value(deep), lambda: self.value(deep), choices)
        return s.Argument(self.maybe(self.name), value, span=ANYWHERE)

    def value(self, deep: int) -> s.Value:
        return self.one(lambda: _as_argument(self.term(deep, False)), lambda: self.relation(deep), self.ratio)

    def ratio(self) -> s.Ratio:
        return s.Ratio(self.draw(PERCENT), span=ANYWHERE)


def _as_argument(term: s.Term) -> s.Value:
    """A number as the argument that its text is: a function at the top is a call."""
    if not isinstance(term, s.Function):
        return term
    arguments = tuple(s.Argument(None, _as_argument(each), span=ANYWHERE) for each in term.arguments)
    return s.Call(term.name, arguments, span=ANYWHERE)
