"""How many pairs attend at one length."""

from __future__ import annotations

import numpy as np

from ...patterns_dsl.syntax import BoundPattern, Direction, Expression
from ..relations.count import Uncountable, added_up, row_counts
from ..relations.denote import denote
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.membership import Ints, Member, membership
from ..relations.relation import universe
from ..relations.settle import Extent, drawn, settle

_LOOKED_AT = 4096
"""Up to this length each pair is looked at."""

_OPERATIONS = 6_000_000
_EVALUATIONS = 1 << 24
"""Pairs that a sample may look at: a fraction of a second."""


def count_pairs(pattern: BoundPattern, n: int, extent: Extent) -> tuple[int, bool]:
    """(pairs, whether they were counted) of the union of the steps, over n queries and n keys.

    In a long sequence the closed form of the keys of a query is added up. What seeded tables draw beside that, and what
    has no closed form within the budget, is found from a sample of queries.
    """
    member = membership(pattern.union, pattern.direction, n, n, extent)
    every = np.arange(n, dtype=np.int64)
    if n <= _LOOKED_AT:
        return _seen(member, every, every), True
    tables = drawn(pattern.union)
    sure = settle(pattern.union, Extent.MUST if tables else extent)
    try:
        total = _added_up(sure, pattern.direction, n)
    except (BudgetExceeded, Uncountable):
        return _sampled(member, n), False
    if not tables:
        return total, True
    # In the row of a global token a sample would find all that few others stand for: those pairs are in the sum.
    known = membership(sure, pattern.direction, n, n)
    return total + _sampled(lambda i, j: member(i, j) & ~known(i, j), n), False


def _added_up(settled: Expression, direction: Direction, n: int) -> int:
    """The keys of all queries. Raises BudgetExceeded, Uncountable."""
    rows = universe(direction).queries
    with budget(_OPERATIONS):
        return added_up(row_counts(denote(settled, direction).pairs, rows), rows, n)


def _sampled(member: Member, n: int) -> int:
    """Rows that are evenly spread but aligned to no period, scaled up."""
    count = max(16, _EVALUATIONS // n)
    cells = np.arange(count, dtype=np.int64)
    rows = ((cells + (0.5 + cells * 0.6180339887498949) % 1.0) * (n / count)).astype(np.int64)
    return round(_seen(member, rows, np.arange(n, dtype=np.int64)) * n / count)


def _seen(member: Member, queries: Ints, keys: Ints) -> int:
    # In slices: a whole mask of coordinates would be the largest thing here.
    return sum(int(member(piece, keys).sum()) for piece in np.array_split(queries, 16) if len(piece))
