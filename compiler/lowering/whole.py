"""At which lengths a pattern is everything: every earlier key of a causal pattern, every key of another.

There a kernel that knows no pattern computes it. The set of lengths is exact, for all of them at once:

    whole = the lengths - { n : some pair of the universe is not in R }

with R what attends whatever seeded tables draw.
"""

from __future__ import annotations

from functools import lru_cache

from ...patterns_dsl.syntax import Direction, Expression
from ..relations.denote import denote
from ..relations.integer import FALSE, Predicate, evaluate, length_values
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import lengths, universe
from ..relations.settle import Extent, opens, pooled, settle


@lru_cache(maxsize=256)
def whole_lengths(expression: Expression, direction: Direction) -> Predicate:
    """Over n (of a cross pattern nq and nk), where these are positive. False at each where it is not settled within the
    budget of a proof, and of a pattern that learns."""
    if opens(expression) or pooled(expression):
        return FALSE
    try:
        with budget():
            missing = universe(direction) - denote(settle(expression, Extent.MUST), direction)
            names = lengths(direction)
            every = IntegerSet.parse((), " and ".join(f"v_{name} >= 1" for name in names), names)
            return (every - missing.pairs.onto(())).predicate(every)
    except BudgetExceeded:
        return FALSE


def is_whole(expression: Expression, direction: Direction, n: int, nk: int | None = None) -> bool:
    """Whether every pair that the direction allows is there at this length, n and nk positive."""
    return bool(evaluate(whole_lengths(expression, direction), length_values(n, nk)))
