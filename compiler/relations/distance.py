"""A predicate over pairs of ranks, seen along one distance: over the query's rank ``a`` and the distance ``x = b - a``.

    b <= a + 3 and (b - a) % 8 == 0   ->   x <= 3 and x % 8 == 0
    b >= n - 7                        ->   a + x >= n - 7

What both sides of a comparison have in common is taken away, so that bounds of it are those of what is left: of a and
a + x bounds alone do not tell that the second is never further away than x.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from .integer import Binary, Compare, Const, Expr, Predicate, Var, rebuilt, substitute


def at_distance(predicate: Predicate) -> Predicate:
    """The predicate of a and x that agrees with one of a and b where b = a + x."""
    along = substitute(predicate, {"b": Binary("+", Var("a"), Var("x"))})
    found: Predicate = _shortened(along)
    return found


def _shortened(node: Any) -> Any:
    match node:
        case Compare(operator, left, right):
            terms = _sum(Binary("-", left, right))
            # sum(positive) - sum(negative) <= 0  ->  sum(positive) <= sum(negative)
            positive = {term: factor for term, factor in terms.items() if factor > 0}
            negative = {term: -factor for term, factor in terms.items() if factor < 0}
            return Compare(operator, _written(positive), _written(negative))
        case Binary("+" | "-" | "*"):
            return _written(_sum(node))
        case _:
            return rebuilt(node, _shortened)


_ONE = Const(1)


def _sum(expr: Expr) -> dict[Expr, int]:
    """What an expression is a sum of: so many times each term, ``_ONE`` for a constant; none zero times."""
    match expr:
        case Const(value):
            return {_ONE: value} if value else {}
        case Binary("+" | "-" as operator, left, right):
            terms = _sum(left)
            for term, factor in _sum(right).items():
                terms[term] = terms.get(term, 0) + (factor if operator == "+" else -factor)
            return {term: factor for term, factor in terms.items() if factor}
        case Binary("*", Const(factor), other) | Binary("*", other, Const(factor)):
            return {term: factor * each for term, each in _sum(other).items()} if factor else {}
        case _:
            return {rebuilt(expr, _shortened): 1}


def _written(terms: dict[Expr, int]) -> Expr:
    each = [_times(factor, term) for term, factor in terms.items()]
    return reduce(lambda left, right: Binary("+", left, right), each) if each else Const(0)


def _times(factor: int, term: Expr) -> Expr:
    if term == _ONE:
        return Const(factor)
    return term if factor == 1 else Binary("*", Const(factor), term)
