"""Comparisons with what is said of queries on one side and what is said of keys on the other.

Evaluated for many of both, each side is found once for all of the other, and only their comparison pair by pair:

    b - 64 * (a // 64) - 64 >= 0   ->   -64 - 64 * (a // 64) >= -b
"""

from __future__ import annotations

from .integer import Binary, Compare, Predicate, rebuilt, variables
from .linear import linear, written


def by_sides(predicate: Predicate) -> Predicate:
    """The same predicate; what speaks of both is on the side of the keys."""
    match predicate:
        case Compare(operator, left, right):
            terms = linear(Binary("-", left, right))
            own = {part: factor for part, factor in terms.items() if "b" not in variables(part)}
            others = {part: -factor for part, factor in terms.items() if part not in own}
            return Compare(operator, written(own), written(others))
        case _:
            found: Predicate = rebuilt(predicate, by_sides)
            return found
