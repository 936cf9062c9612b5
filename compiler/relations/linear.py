"""Expressions as sums of multiples of parts that are no sums themselves."""

from __future__ import annotations

from functools import reduce
from typing import TypeAlias

from .integer import Binary, Compare, Const, Expr

Sum: TypeAlias = dict[Expr, int]
"""So many times each part, ``ONE`` for a constant; none zero times."""

ONE = Const(1)


def linear(expr: Expr, times: int = 1) -> Sum:
    """So many times an expression as a sum; parts in the order in which they come."""
    found: Sum = {}
    _add(found, expr, times)
    return {part: factor for part, factor in found.items() if factor}


def _add(found: Sum, expr: Expr, times: int) -> None:
    match expr:
        case Const(value):
            found[ONE] = found.get(ONE, 0) + times * value
        case Binary("+" | "-" as operator, left, right):
            _add(found, left, times)
            _add(found, right, times if operator == "+" else -times)
        case Binary("*", Const(factor), other) | Binary("*", other, Const(factor)):
            _add(found, other, times * factor)
        case _:
            found[expr] = found.get(expr, 0) + times


def added(terms: Sum, others: Sum, times: int = 1) -> Sum:
    """The sum of one and so many times the other."""
    total = dict(terms)
    for part, factor in others.items():
        total[part] = total.get(part, 0) + times * factor
    return {part: factor for part, factor in total.items() if factor}


def written(terms: Sum) -> Expr:
    """The sum as an expression."""
    each = [_times(factor, part) for part, factor in terms.items()]
    return reduce(lambda left, right: Binary("+", left, right), each) if each else Const(0)


def beside_0(operator: str, terms: Sum) -> Compare:
    """The comparison of a sum with 0: of what is added with what is taken away."""
    taken = {part: -factor for part, factor in terms.items() if factor < 0}
    return Compare(operator, written({part: factor for part, factor in terms.items() if factor > 0}), written(taken))


def at_least_0(comparison: Compare) -> Sum | None:
    """The sum that is 0 or more where the comparison holds; None where it is no such comparison."""
    sums = linear(Binary("-", comparison.left, comparison.right))
    if comparison.operator in ("<", "<="):
        sums = {part: -factor for part, factor in sums.items()}
    elif comparison.operator not in (">", ">="):
        return None
    if comparison.operator in ("<", ">"):
        sums[ONE] = sums.get(ONE, 0) - 1
    return sums


def _times(factor: int, part: Expr) -> Expr:
    if part == ONE:
        return Const(factor)
    return part if factor == 1 else Binary("*", Const(factor), part)
