"""Cases: comparisons of ``abs``, ``min`` and ``max`` as comparisons of linear terms.

abs(t)     ->  t when t >= 0,  -t when t < 0
min(s, t)  ->  s when s <= t,   t when t < s      and so on for more
max(s, t)  ->  s when s >= t,   t when t > s
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
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
        case Function(name, arguments) if arguments:
            found = product(*(cases(argument) for argument in arguments))
            return tuple(case for choice in found for case in _extremes(name, choice))
        case Function() | Coordinate():
            raise TypeError(f"not in core form: {term}")
        case _:
            assert_never(term)


def _extremes(name: str, choice: tuple[Case, ...]) -> Iterator[Case]:
    """Each of the values where it is the least, or the greatest; of equal ones, the first."""
    keeps, before = ("<=", "<") if name == "min" else (">=", ">")
    given = tuple(guard for when, _ in choice for guard in when)
    for place, (_, value) in enumerate(choice):
        others = (
            _compare(value, before if number < place else keeps, other)
            for number, (_, other) in enumerate(choice)
            if number != place
        )
        yield (*given, *others), value


def count(term: Term) -> int:
    """How many cases there are."""
    match term:
        case Negative(inner):
            return count(inner)
        case Arithmetic(_, left, right):
            return count(left) * count(right)
        case Function(name, arguments):
            return (2 if name == "abs" else len(arguments)) * prod(count(argument) for argument in arguments)
        case _:
            return 1


def _compare(left: Term, operator: str, right: Term) -> Comparison:
    return Comparison((left, right), (operator,), span=left.span)
