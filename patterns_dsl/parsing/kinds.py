"""Two readings of a value: ``a - b`` is arithmetic on numbers, and a difference of sets; ``min(a, b)`` is a number,
and every other call a relation or a set."""

from __future__ import annotations

from ..syntax import Arithmetic, Call, Difference, Expression, Function, Name, Ratio, Term, Value

FUNCTIONS = ("abs", "min", "max")


def as_expression(value: Value) -> Expression | None:
    """The value read as a relation or a set: bare names are calls, ``-`` is a difference. None for a number."""
    match value:
        case Name(name):
            return Call(name, span=value.span)
        case Arithmetic("-", left, right):
            first, second = as_expression(left), as_expression(right)
            return first and second and Difference(first, second, span=value.span)
        case _:
            return None if isinstance(value, Term | Ratio) else value


def as_term(value: Value) -> Term | None:
    """The value as a number, None for a relation, a set or a ratio."""
    match value:
        case Call(name, arguments) if name in FUNCTIONS and arguments:
            parts = [as_term(each.value) for each in arguments if each.name is None and isinstance(each.value, Value)]
            terms = tuple(part for part in parts if part is not None)
            return Function(name, terms, span=value.span) if len(terms) == len(arguments) else None
        case _:
            return value if isinstance(value, Term) else None
