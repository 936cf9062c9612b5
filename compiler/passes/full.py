"""full: whether every tile of a range is full, so that it needs no mask.

The outline of a term that is made of whole tiles is exact, and its ranges hold only full ones. A few are looked at
first: a proof is tried only where those are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..relations.context import BudgetExceeded, budget
from ..relations.formula import condition
from ..relations.integer import All, Compare, Predicate, Var, evaluate, length_values, variables
from ..relations.presburger import IntegerSet
from .count import bounds, tile_count
from .placement import SPACE, Placement
from .program import Range, Tile, range_variables

MOST_LOOKED_AT = 8

_OPERATIONS = 100_000


def only_full(span: Range, placement: Placement, tile: Tile, still: str, n: int) -> bool:
    """Whether each pair of existing ranks in the tiles of the range belongs to the placement, at every length."""
    try:
        with budget(_OPERATIONS):
            return seem_full(span, placement, tile, still, n) and _are_full(span, placement, tile, still)
    except BudgetExceeded:
        return False


def seem_full(span: Range, placement: Placement, tile: Tile, still: str, n: int) -> bool:
    """Whether some whole tiles of the first class, at length n, are full."""
    a, b = np.arange(tile.query)[:, None], np.arange(tile.key)[None, :]
    for query_tile, key_tile in _some_tiles(span, placement, tile, still, n):
        ranks = {"a": query_tile * tile.query + a, "b": key_tile * tile.key + b}
        if not np.all(evaluate(placement.keep, {**ranks, "c": 0, **length_values(n)}, np)):
            return False
    return True


def _some_tiles(span: Range, placement: Placement, tile: Tile, still: str, n: int) -> Iterator[tuple[int, int]]:
    key_class = placement.shift % placement.key.classes
    queries, keys = tile_count(placement.query, 0, n, tile.query), tile_count(placement.key, key_class, n, tile.key)
    own, others, cls = (queries, keys, 0) if still == "I" else (keys, queries, key_class)
    ends = [(lo, hi) for lo, hi in bounds(span, own, cls, others, n, still).values() if (hi > lo).any()]
    for lo, hi in ends[:: max(1, len(ends) // MOST_LOOKED_AT)]:
        touching = np.flatnonzero(hi > lo)
        at = int(touching[len(touching) // 2])
        for other in {int(lo[at]), int(hi[at]) - 1}:
            yield (at, other) if still == "I" else (other, at)


def _are_full(span: Range, placement: Placement, tile: Tile, still: str) -> bool:
    tiles = f"v_I = floor(v_a / {tile.query}) and v_J = floor(v_b / {tile.key})"
    own_class = "v_c" if still == "I" else placement.key_class
    visited = f"exists (v_I, v_J, v_d : {tiles} and {condition(_within(span, still), own_class)})"
    pairs = placement.domain & IntegerSet.parse(SPACE, visited, (*placement.lengths, "T"))
    if (range_variables(span) | variables(placement.keep)).intersection(placement.lengths):
        pairs = pairs & placement.existing
    return pairs <= placement.pairs


def _within(span: Range, still: str) -> Predicate:
    swept = Var("J" if still == "I" else "I")
    parts = (Compare("<=", span.lo, swept), Compare("<", swept, span.hi))
    if span.fan is None:
        return All(parts)
    return All((*parts, Compare("<=", span.fan.first, Var("d")), Compare("<", Var("d"), span.fan.last)))
