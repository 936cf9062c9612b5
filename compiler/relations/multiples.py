"""Comparisons of sums of which the terms of large factors decide, as tokens of a grid do by their rows.

3600 * x + r <= 7200   ->   x <= 1   where 0 < r <= 3600
"""

from __future__ import annotations

from collections.abc import Callable

from .integer import Expr, Predicate
from .linear import ONE, added, beside_0, linear


def by_multiples(operator: str, left: Expr, right: Expr, bounds: Callable[[Expr], tuple[int, int]]) -> Predicate | None:
    """A comparison of sums that some terms decide, whatever the others are within their bounds: g*x + r <= 0 is
    x <= floor(-r / g), where that is the same for the least and the greatest r."""
    sign = {"<": 1, "<=": 1, ">": -1, ">=": -1}.get(operator)
    if sign is None:
        return None
    terms = added(linear(left, sign), linear(right, -sign))
    strict = int(operator in "<>")  # x < 0 is x + 1 <= 0
    for by in sorted({abs(factor) for part, factor in terms.items() if part != ONE} - {0, 1}, reverse=True):
        rest = {part: factor for part, factor in terms.items() if part == ONE or factor % by}
        ends = [[factor * end for end in bounds(part)] for part, factor in rest.items()]
        low, high = (strict + sum(map(which, ends)) for which in (min, max))
        if rest and -low // by == -high // by:
            own = {part: factor // by for part, factor in terms.items() if part not in rest}
            return beside_0("<=", added(own, {ONE: -(-low // by)}))
    return None
