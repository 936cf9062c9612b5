"""Whether query i attends to key j, for whole arrays of places."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ...patterns_dsl.syntax import Direction, Expression
from .. import bruteforce
from .denote import denote
from .integer import evaluate
from .presburger import BudgetExceeded, budget
from .relation import lengths, universe

Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]
Member: TypeAlias = Callable[[Ints, Ints], Bools]
"""Whether query i attends to key j, over arrays of equal shape."""

_LONGEST_MASK = 4096


def membership(expression: Expression, direction: Direction, queries: int, keys: int) -> Member:
    """The closed form of the relation, evaluated pointwise: it draws a million tokens as fast as a hundred.

    A relation without a closed form within the budget is drawn from its brute-force mask; raises BudgetExceeded when
    it is too long for one.
    """
    sizes = {"nq": queries, "nk": keys} if direction is Direction.CROSS else {"n": queries}
    assert set(sizes) == set(lengths(direction))
    try:
        with budget():
            inside = universe(direction).pairs
            closed = denote(expression, direction).pairs.predicate(inside)
    except BudgetExceeded:
        if max(queries, keys) > _LONGEST_MASK:
            raise
        mask = bruteforce.mask(expression, direction, *sizes.values())
        return lambda i, j: mask[i, j]

    def member(i: Ints, j: Ints) -> Bools:
        values = {"i": i, "j": j, **sizes}
        hit = np.broadcast_to(evaluate(closed, values, np), i.shape)
        # The closed form is exact within the pattern's universe, of which only this bound can be broken here.
        return hit & (j <= i) if direction is Direction.CAUSAL else hit

    return member
