"""Cases: comparisons of ``abs``, ``min`` and ``max`` as comparisons of linear terms.

abs(t)     ->  t when t >= 0,  -t when t < 0
min(s, t)  ->  s when s <= t,   t when t < s
max(s, t)  ->  s when s >= t,   t when t > s
"""

from __future__ import annotations

from itertools import product
from typing import TypeAlias, assert_never

from ..syntax import Arithmetic, Comparison, Coordinate, Function, Integer, Name, Negative, Term
from .fold import arithmetic, negative

Case: TypeAlias = tuple[tuple[Comparison, ...], Term]
"""(what must hold, the term there)."""


def cases(term: Term) -> tuple[Case, ...]:
    """The linear terms that a core term is equal to, each with its condition; the conditions exclude each other."""
    match term:
        case Integer() | Name():
            return (((), term),)
        case Negative(inner):
            return tuple((when, negative(value, term.span)) for when, value in cases(inner))
        case Arithmetic(operator, left, right):
            return tuple(
                ((*when, *also), arithmetic(operator, a, b, term.span))
                for (when, a), (also, b) in product(cases(left), cases(right))
            )
        case Function("abs", (inner,)):
            zero = Integer(0, span=term.span)
            return tuple(
                case
                for when, value in cases(inner)
                for case in (
                    ((*when, _compare(value, ">=", zero)), value),
                    ((*when, _compare(value, "<", zero)), negative(value, term.span)),
                )
            )
        case Function(name, (first, *rest)):
            found = cases(first)
            for other in rest:
                found = tuple(case for one, two in product(found, cases(other)) for case in _either(name, one, two))
            return found
        case Function() | Coordinate():
            raise TypeError(f"not in core form: {term}")
        case _:
            assert_never(term)


def _either(name: str, one: Case, two: Case) -> tuple[Case, Case]:
    (when, a), (also, b) = one, two
    keeps, leaves = ("<=", ">") if name == "min" else (">=", "<")
    return ((*when, *also, _compare(a, keeps, b)), a), ((*when, *also, _compare(a, leaves, b)), b)


def _compare(left: Term, operator: str, right: Term) -> Comparison:
    return Comparison((left, right), (operator,), span=left.span)
