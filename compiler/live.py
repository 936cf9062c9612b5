"""live: whether a key can still be read, as a predicate to evaluate while a sequence is decoded.

A cache can drop a key that is not live, and no other: StreamingLLM's rule, derived from the relation of any pattern.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..patterns_dsl.syntax import Direction, Expression
from .magnitude import of_predicate
from .relations.denote import denote
from .relations.integer import TRUE, Predicate, evaluate
from .relations.isl.context import BudgetExceeded, budget
from .relations.isl.presburger import IntegerSet
from .relations.live import live_keys
from .relations.settle import Extent, settle

_OPERATIONS = 6_000_000


@lru_cache(maxsize=256)
def still_read(expression: Expression, direction: Direction) -> Predicate:
    """Over i and j, 0 <= j <= i: whether query i or a later one reads key j, however long the sequence becomes.

    True of more pairs where a selection decides, and of all where rows change with the length or where nothing shorter
    was found within the budget of a proof: a cache that goes by it keeps too much, and never too little.
    """
    try:
        with budget(_OPERATIONS):
            attended = denote(settle(expression, Extent.MAY), direction)
            if attended.depends_on_length:
                return TRUE
            existing = IntegerSet.parse(("i", "j"), "0 <= v_j and v_j <= v_i")
            return live_keys(attended, ends=False).for_some("n").predicate(existing)
    except BudgetExceeded:
        return TRUE


def live(keys: NDArray[np.int64], query: int, predicate: Predicate) -> NDArray[np.bool_]:
    """Which of the keys, all of them before ``query``, it or a later query can read."""
    if of_predicate(predicate, {"i": query, "j": query}) >= 2**63:  # not to be evaluated in 64 bits
        return np.ones(keys.shape, dtype=np.bool_)
    read = evaluate(predicate, {"i": np.int64(query), "j": keys}, np)
    return np.array(np.broadcast_to(read, keys.shape), dtype=np.bool_)
