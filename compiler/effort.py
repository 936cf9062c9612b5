"""What brute force has to reckon with in a formula: its time at one pair, and the size of its numbers."""

from __future__ import annotations

from typing import assert_never

from ..patterns_dsl import syntax
from ..patterns_dsl.syntax import Formula, Term


class TooLong(Exception):
    """A length at which brute force would take too long."""


def effort(formula: Formula, positions: int) -> float:
    """The time that a formula takes at one pair; a comparison takes a quarter, no formula less than 1."""

    def go(node: Formula) -> float:
        match node:
            case syntax.And(left, right) | syntax.Or(left, right):
                return go(left) + go(right)
            case syntax.Not(inner):
                return go(inner)
            case syntax.Exists(_, body, _):
                return positions * max(1, go(body))
            case syntax.Comparison() | syntax.Membership():
                return 1 / 4
            case _:
                assert_never(node)

    return max(1, go(formula))


def magnitude(node: Formula | Term, positions: int) -> int:
    """A bound of the absolute values that occur in a formula."""
    match node:
        case syntax.Comparison(terms, _):
            return max(magnitude(term, positions) for term in terms)
        case syntax.And(left, right) | syntax.Or(left, right):
            return max(magnitude(left, positions), magnitude(right, positions))
        case syntax.Not(inner) | syntax.Exists(_, inner, _) | syntax.Negative(inner):
            return magnitude(inner, positions)
        case syntax.Integer(value):
            return abs(value)
        case syntax.Name():
            return positions
        case syntax.Arithmetic("*", left, right):
            return max(1, magnitude(left, positions)) * max(1, magnitude(right, positions))
        case syntax.Arithmetic(_, left, right):
            return magnitude(left, positions) + magnitude(right, positions)
        case syntax.Membership():
            raise ValueError("not in core form: Membership")
        case _:
            assert_never(node)
