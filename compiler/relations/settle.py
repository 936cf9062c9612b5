"""settle: a pattern with every open choice made, so that it is a relation.

What a learned selection, the data or a seeded table decide is open in a pattern's tree. Proofs settle it twice:

    MUST   the pairs that attend whatever is chosen
    MAY    the pairs that attend under some choice

``not``, and the right side of ``-``, turn the one into the other. Neither need occur as a whole: a selection that is
counted both ways is in neither. ``choose`` makes one real choice instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import TypeAlias, assert_never

from ...patterns_dsl import syntax
from ...patterns_dsl.syntax import Expression, Formula


class Extent(Enum):
    MUST = "must"
    MAY = "may"

    @property
    def opposite(self) -> Extent:
        return Extent.MAY if self is Extent.MUST else Extent.MUST


Picks: TypeAlias = Mapping[str, int]
"""For each source of a choice (a selection, a document, a gate) the number of one of its examples."""

GATE = ("is closed", "is open")
"""The examples of a gate."""


@dataclass(frozen=True, slots=True)
class Open:
    """One source of open choices: its examples in words, and whether it counts positively, negatively or both."""

    source: str
    examples: tuple[str, ...]
    positive: bool
    negative: bool


def settle(expression: Expression, extent: Extent) -> Expression:
    """The bound of a relation on one side; without ``Chosen``, ``Drawn``, ``Gated`` and ``Pooled``."""

    def leaf(node: syntax.Chosen | syntax.Drawn, bound: Extent) -> Formula:
        if isinstance(node, syntax.Chosen):
            return node.must if bound is Extent.MUST else node.may
        return _constant(node, bound is Extent.MAY)

    return _Settling(leaf, lambda node, bound: bound is Extent.MAY).expression(expression, extent)


def choose(expression: Expression, picks: Picks) -> Expression:
    """The relation under one choice of examples; seeded tables stay. Raises KeyError for a source without a pick."""

    def leaf(node: syntax.Chosen | syntax.Drawn, bound: Extent) -> Formula:
        return node if isinstance(node, syntax.Drawn) else node.examples[picks[node.source]].formula

    return _Settling(leaf, lambda node, bound: bool(picks[node.gate])).expression(expression, Extent.MAY)


def opens(expression: Expression) -> tuple[Open, ...]:
    """The sources of open choices in an expression, in order; seeded tables are none."""
    found: dict[str, Open] = {}

    def note(source: str, examples: tuple[str, ...], bound: Extent) -> None:
        known = found.get(source, Open(source, examples, False, False))
        positive = known.positive or bound is Extent.MAY
        found[source] = Open(source, examples, positive, known.negative or bound is Extent.MUST)

    def leaf(node: syntax.Chosen | syntax.Drawn, bound: Extent) -> Formula:
        if isinstance(node, syntax.Chosen):
            note(node.source, tuple(example.words for example in node.examples), bound)
        return node

    def gate(node: syntax.Gated, bound: Extent) -> bool:
        note(node.gate, GATE, bound)
        return True

    _Settling(leaf, gate).expression(expression, Extent.MAY)
    return tuple(found.values())


def drawn(expression: Expression) -> bool:
    """Whether a seeded table has a part in the relation."""
    found: list[syntax.Drawn] = []

    def leaf(node: syntax.Chosen | syntax.Drawn, bound: Extent) -> Formula:
        if isinstance(node, syntax.Drawn):
            found.append(node)
        return node

    _Settling(leaf, lambda node, bound: True).expression(expression, Extent.MAY)
    return bool(found)


def pooled(expression: Expression) -> bool:
    """Whether some keys are seen as summaries only."""
    match expression:
        case syntax.Pooled():
            return True
        case syntax.Union(left, right):
            return pooled(left) or pooled(right)
        case syntax.Gated(operand):
            return pooled(operand)
        case _:
            return False  # a pooled term stands alone or in a union


def mentions_length(node: object) -> bool:
    """Whether a relation in core form is told the length of the sequence; selections are made of what there is, and
    what bounds them is no part of it."""
    match node:
        case syntax.Name(name):
            return name in ("n", "nq", "nk")
        case syntax.Chosen():
            return any(map(mentions_length, node.terms))
        case tuple():
            return any(map(mentions_length, node))
        case syntax.Node():
            return any(mentions_length(getattr(node, each.name)) for each in fields(node) if each.name != "span")
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Settling:
    """A walk over a tree that knows, at each place, which bound is asked for."""

    leaf: Callable[[syntax.Chosen | syntax.Drawn, Extent], Formula]
    gate: Callable[[syntax.Gated, Extent], bool]

    def expression(self, node: Expression, bound: Extent) -> Expression:
        match node:
            case syntax.Pairs(query, key, formula):
                return syntax.Pairs(query, key, self.formula(formula, bound), span=node.span)
            case syntax.Union(left, right):
                return syntax.Union(self.expression(left, bound), self.expression(right, bound), span=node.span)
            case syntax.Intersection(left, right):
                return syntax.Intersection(self.expression(left, bound), self.expression(right, bound), span=node.span)
            case syntax.Composition(left, right):
                return syntax.Composition(self.expression(left, bound), self.expression(right, bound), span=node.span)
            case syntax.Difference(left, right):
                without = self.expression(right, bound.opposite)
                return syntax.Difference(self.expression(left, bound), without, span=node.span)
            case syntax.Complement(operand):
                return syntax.Complement(self.expression(operand, bound.opposite), span=node.span)
            case syntax.Gated(operand):
                inside = self.expression(operand, bound)
                if self.gate(node, bound):
                    return inside
                return syntax.Difference(inside, inside, span=node.span)
            case syntax.Pooled(operand):
                return self.expression(operand, bound)
            case syntax.Positions() | syntax.Elements() | syntax.Call():
                raise TypeError(f"{type(node).__name__} is not a relation in core form")
            case _:
                assert_never(node)

    def formula(self, node: Formula, bound: Extent) -> Formula:
        match node:
            case syntax.Comparison():
                return node
            case syntax.And(left, right):
                return syntax.And(self.formula(left, bound), self.formula(right, bound), span=node.span)
            case syntax.Or(left, right):
                return syntax.Or(self.formula(left, bound), self.formula(right, bound), span=node.span)
            case syntax.Not(inner):
                return syntax.Not(self.formula(inner, bound.opposite), span=node.span)
            case syntax.Exists(variable, body, bounds):
                return syntax.Exists(variable, self.formula(body, bound), bounds, span=node.span)
            case syntax.Chosen() | syntax.Drawn():
                return self.leaf(node, bound)
            case syntax.Membership() | syntax.PairMembership():
                raise TypeError(f"{type(node).__name__} is not a formula in core form")
            case _:
                assert_never(node)


def _constant(node: syntax.Drawn, value: bool) -> Formula:
    zero, other = (syntax.Integer(number, span=node.span) for number in (0, 0 if value else 1))
    return syntax.Comparison((zero, other), ("=",), span=node.span)
