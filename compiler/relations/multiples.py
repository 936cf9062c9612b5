"""Comparisons of sums of which the terms of large factors decide, as tokens of a grid do by their rows.

3600 * x + r <= 7200   ->   x <= 1   where 0 < r <= 3600
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce

from .integer import Binary, Compare, Const, Expr, Predicate


def by_multiples(operator: str, left: Expr, right: Expr, bounds: Callable[[Expr], tuple[int, int]]) -> Predicate | None:
    """A comparison of sums that some terms decide, whatever the others are within their bounds: g*x + r <= 0 is
    x <= floor(-r / g), where that is the same for the least and the greatest r."""
    sign = {"<": 1, "<=": 1, ">": -1, ">=": -1}.get(operator)
    if sign is None:
        return None
    terms = [*_terms(left, sign), *_terms(right, -sign)]
    strict = int(operator in "<>")  # x < 0 is x + 1 <= 0
    for by in sorted({abs(factor) for factor, term in terms if not isinstance(term, Const)} - {0, 1}, reverse=True):
        multiples = [not isinstance(term, Const) and factor % by == 0 for factor, term in terms]
        rest = [each for each, multiple in zip(terms, multiples, strict=True) if not multiple]
        ends = [[factor * end for end in bounds(term)] for factor, term in rest]
        low, high = (strict + sum(map(which, ends)) for which in (min, max))
        if rest and -low // by == -high // by:
            own = [(factor // by, term) for (factor, term), kept in zip(terms, multiples, strict=True) if kept]
            one, two = ([(sign * factor, term) for factor, term in own if sign * factor > 0] for sign in (1, -1))
            return Compare("<=", _sum(one), _sum([*two, (-low // by, Const(1))]))
    return None


def _terms(expr: Expr, factor: int) -> Iterator[tuple[int, Expr]]:
    """The summands of so many times an expression."""
    match expr:
        case Binary("+" | "-" as operator, left, right):
            yield from _terms(left, factor)
            yield from _terms(right, factor if operator == "+" else -factor)
        case Binary("*", Const(times), other) | Binary("*", other, Const(times)):
            yield from _terms(other, factor * times)
        case _:
            yield factor, expr


def _sum(terms: list[tuple[int, Expr]]) -> Expr:
    each = [
        Const(factor * term.value)
        if isinstance(term, Const)
        else (term if factor == 1 else Binary("*", Const(factor), term))
        for factor, term in terms
    ]
    return reduce(lambda left, right: Binary("+", left, right), each) if each else Const(0)
