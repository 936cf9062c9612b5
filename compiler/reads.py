"""reads: which keys are read by a run of queries, as predicates to evaluate at run time.

Two decisions follow from it, for any pattern, and neither is made by a list of cases: which keys a cache can drop while
a sequence is decoded (StreamingLLM's rule, derived), and which keys a process needs from the others when a sequence is
divided among them. Who goes by a predicate may keep or send too much, and never too little: it is true of more where a
selection decides, and where the exact set is not found within the budget of a proof.
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
from .relations.relation import Relation
from .relations.settle import Extent, settle

_LATER, _RUN = "later", ("begin", "end")


@lru_cache(maxsize=256)
def read_from_on(expression: Expression, direction: Direction) -> Predicate:
    """Over i and j, 0 <= j <= i: whether query i or a later one reads key j, however long the sequence becomes. True of
    all where rows change with the length."""
    try:
        with budget():
            attended = _attended(expression, direction)
            if attended.depends_on_length:
                return TRUE
            reads = attended.formula().rename({"i": _LATER})
            asked = IntegerSet.parse(("i", "j", _LATER), f"v_i <= v_{_LATER}")
            existing = IntegerSet.parse(("i", "j"), "0 <= v_j and v_j <= v_i")
    except BudgetExceeded:
        return TRUE
    return _of_some(reads, asked, _LATER, existing)


@lru_cache(maxsize=256)
def read_within(expression: Expression, direction: Direction) -> Predicate:
    """Over begin, end, j and n, 0 <= begin < end <= n and 0 <= j < n: whether some query from ``begin`` on and before
    ``end`` reads key j of a sequence of n."""
    within = "0 <= v_j and v_j < v_n and 0 <= v_begin and v_begin < v_end and v_end <= v_n"
    try:
        with budget():
            pairs = _attended(expression, direction).pairs
            asked = IntegerSet.parse(("i", "j", *_RUN), "v_begin <= v_i and v_i < v_end")
            existing = IntegerSet.parse(("j", *_RUN), within, ("n",))
    except BudgetExceeded:
        return TRUE
    return _of_some(pairs, asked, "i", existing)


def _attended(expression: Expression, direction: Direction) -> Relation:
    return denote(settle(expression, Extent.MAY), direction)


def _of_some(pairs: IntegerSet, asked: IntegerSet, query: str, existing: IntegerSet) -> Predicate:
    """Over the dims of ``existing``, within it: whether a query is ``asked`` and has the key."""
    dims = existing.dims
    try:
        with budget():
            return (asked & pairs).onto(dims).predicate(existing)
    except BudgetExceeded:
        pass
    try:  # a superset, by elimination over the rationals: windows on grids are told by their bounds
        with budget():
            return (asked & pairs).unquantified().without((query,)).onto(dims).predicate(existing)
    except BudgetExceeded:
        return TRUE


def keys_read(keys: NDArray[np.int64], predicate: Predicate, **values: int) -> NDArray[np.bool_]:
    """Of which keys a predicate is true, where its other variables have these values, none of them below a key."""
    most = max(values.values())
    if of_predicate(predicate, {"j": most} | dict.fromkeys(values, most)) >= 2**63:  # not to be evaluated in 64 bits
        return np.ones(keys.shape, dtype=np.bool_)
    found = evaluate(predicate, {"j": keys} | {name: np.int64(value) for name, value in values.items()}, np)
    return np.array(np.broadcast_to(found, keys.shape), dtype=np.bool_)
