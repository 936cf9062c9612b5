"""Two readings of a value: ``a - b`` is arithmetic on numbers, and a difference of sets."""

from __future__ import annotations

from .syntax import Arithmetic, Call, Difference, Expression, Integer, Name, Negative, Ratio, Term, Value


def as_expression(value: Value) -> Expression | None:
    """The value read as a relation or a set: bare names are calls, ``-`` is a difference. None for a number."""
    match value:
        case Name(name):
            return Call(name, span=value.span)
        case Arithmetic("-", left, right):
            first, second = as_expression(left), as_expression(right)
            return first and second and Difference(first, second, span=value.span)
        case Arithmetic() | Integer() | Negative() | Ratio():
            return None
        case _:
            return value


def as_term(value: Value) -> Term | None:
    """The value as a number, None for a relation, a set or a ratio."""
    match value:
        case Integer() | Name() | Arithmetic() | Negative():
            return value
        case _:
            return None
