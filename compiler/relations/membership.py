"""Whether query i attends to key j, for whole arrays of places."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ...patterns_dsl.syntax import Direction, Expression
from .. import bruteforce
from .denote import denote
from .integer import Predicate, evaluate
from .isl.context import BudgetExceeded, budget
from .relation import lengths, universe
from .settle import Extent, drawn, settle

Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]
Member: TypeAlias = Callable[[Ints, Ints], Bools]
"""Whether query i attends to key j: [Nq] queries and [Nk] keys to [Nq, Nk], an array of the caller's own."""

_LONGEST_MASK = 4096


def closed_form(expression: Expression, direction: Direction, extent: Extent = Extent.MAY) -> Predicate:
    """Whether i attends to j, for pairs within the pattern's universe. Raises BudgetExceeded where none is found."""
    with budget():
        return denote(settle(expression, extent), direction).pairs.predicate(universe(direction).pairs)


def membership(
    expression: Expression, direction: Direction, queries: int, keys: int, extent: Extent = Extent.MAY
) -> Member:
    """The closed form of the relation, evaluated place by place: it draws a million tokens as fast as a hundred.

    ``extent`` settles what selections decide. A seeded table, and a relation without a closed form within the budget,
    are evaluated by brute force; raises BudgetExceeded where that would take too long.
    """
    cross = direction is Direction.CROSS
    sizes = {"nq": queries, "nk": keys} if cross else {"n": queries}
    assert set(sizes) == set(lengths(direction))

    def by_brute_force(i: Ints, j: Ints) -> Bools:
        choice: bruteforce.Choice = "must" if extent is Extent.MUST else "may"
        nk = keys if cross else None
        return bruteforce.block(expression, direction, queries, nk, queries=i, keys=j, choice=choice)

    if drawn(expression):
        return by_brute_force
    try:
        closed = closed_form(expression, direction, extent)
    except BudgetExceeded:
        if max(queries, keys) > _LONGEST_MASK:
            raise
        return by_brute_force

    def member(i: Ints, j: Ints) -> Bools:
        row, column = i[:, None], j[None, :]
        values = {"i": row, "j": column, **sizes}
        hit = np.broadcast_to(evaluate(closed, values, np), (len(i), len(j)))
        # The closed form is exact within the pattern's universe, of which only this bound can be broken here.
        return hit & (column <= row) if direction is Direction.CAUSAL else hit.copy()

    return member
