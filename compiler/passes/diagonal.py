"""diagonal: a term whose keys are at few distances from their queries, one distance at a time.

In tiles a window of 7 keys is one pair in 18, and a diagonal of single pairs one in 128. A *diagonal* of a tile of
queries takes each query with the one key at a distance x = b - a: no pair is computed in vain, but those that a mask
leaves out. The inverse of i -> i + x is a function too, so that a tile of keys has the same diagonals.

    logsparse    i - j in {0, 1, 2, 4, 8, ...}: the distances in runs, 0..2, 4, 8, ...; a step of a fan for each run
    a window     one run; where it is shifted inwards at a border, the tiles there have a longer one
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..relations.formula import condition
from ..relations.integer import Compare, Const, Expr, Select, Var, length_values, variables
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from ..relations.periods import finite, runs
from ..relations.relation import LENGTHS
from .placement import SPACE, Placement, known_of
from .program import Fan, Range, Tile, on_diagonals, range_variables
from .split import spread
from .ways import Refused

MOST_RUNS = 16
"""The ends of each are written into a kernel."""

MOST_DIFFERENCES = 128
"""As many diagonals as a tile has keys hold no fewer pairs than the tile."""

_OPERATIONS = 64_000
"""For the differences that occur in a tile. Where they are hard to find, a run is the same in every tile."""


def few_differences(placement: Placement) -> tuple[tuple[int, int], ...]:
    """The runs [first, last) of the differences b - a that occur at some length; none where they are not few, or there
    is no pair."""
    return _few_differences(placement.present)


@lru_cache(maxsize=1024)  # asked for in tiles of each size, seen from queries and from keys
def _few_differences(pairs: IntegerSet) -> tuple[tuple[int, int], ...]:
    numbers = pairs.image(("d",), "v_d = v_b - v_a").for_some(*LENGTHS)
    found = (runs(numbers, MOST_RUNS) or ()) if finite(numbers) else ()
    return found if sum(last - first for first, last in found) <= MOST_DIFFERENCES else ()


def diagonal_ranges(placement: Placement, tile: Tile, still: str) -> tuple[Range, ...]:
    """The diagonals of each tile that stands still: one range, a step for each run. Raises Refused where keys and
    queries have many differences."""
    if placement.present.empty:
        return ()
    found = few_differences(placement)
    if not found:
        raise Refused("keys and queries have many differences")
    ends = [_ends(placement, tile, still, first, last) for first, last in found]
    lo, hi = (_at_step([pair[side] for pair in ends]) for side in (0, 1))
    fan = Fan(Const(0), Const(len(found)), 0) if len(found) > 1 else None
    each = (Range(*pair, masked=True, diagonal=True) for pair in ends)
    full = all(_seem_full(span, placement, tile, still) for span in each)
    return (Range(lo, hi, not full, fan, diagonal=True),)


def least_diagonals(placement: Placement, tile: Tile, n: int) -> int:
    """How many diagonals the range visits at length n at least, over all tiles of queries: of each run from the first
    on which some pair lies to the last. Where it could be written down in full, as many as it does."""
    total = 0
    for first, last in few_differences(placement):
        pairs = _pairs_on(placement.pairs, first, last, n)
        by_tile = np.pad(pairs, ((0, 0), (0, -n % tile.query))).reshape(last - first, -1, tile.query)
        there = np.max(by_tile, axis=-1)
        there = there[:, np.max(there, axis=0)]
        total += int((last - first - there.argmax(axis=0) - there[::-1].argmax(axis=0)).sum())
    return total


@lru_cache(maxsize=64)  # asked for in tiles of each size
def _pairs_on(pairs: IntegerSet, first: int, last: int, n: int) -> NDArray[np.bool_]:
    """[last - first, n]: of each difference and query whether they have a pair in natural order at length n."""
    there = np.zeros((last - first, n), dtype=np.bool_)
    queries = np.arange(n)
    for piece in pairs.divided():
        values: dict[str, Any] = {"c": 0, "a": queries, **length_values(n)}
        lo, hi = piece.reach("b", values, np.maximum(queries + first, 0), np.minimum(queries + last, n))
        a, b = spread(lo, hi)
        there[b - a - first, a] |= piece.holds(values | {"a": a, "b": b})
    return there


def _at_step(values: Sequence[Expr]) -> Expr:
    """The first value at step 0, the second at step 1, and so on."""
    found = values[-1]
    for step in reversed(range(len(values) - 1)):
        found = Select(Compare("<=", Var("d"), Const(step)), values[step], found)
    return found


def _ends(placement: Placement, tile: Tile, still: str, first: int, last: int) -> tuple[Expr, Expr]:
    """lo and hi of the differences first..last-1 that a tile has."""
    rank, size = ("a", tile.query) if still == "I" else ("b", tile.key)
    which = f"v_{still} = floor(v_{rank} / {size}) and v_x = v_b - v_a and {first} <= v_x < {last}"
    try:
        with budget(_OPERATIONS):
            return placement.pairs.image(("c", still, "x"), which).interval("x", known_of(placement, still))
    except BudgetExceeded:
        return Const(first), Const(last)


def _seem_full(span: Range, placement: Placement, tile: Tile, still: str) -> bool:
    """As ``_full``; False where that is hard to tell."""
    try:
        with budget(_OPERATIONS):
            return _full(span, placement, tile, still)
    except BudgetExceeded:
        return False


def _full(span: Range, placement: Placement, tile: Tile, still: str) -> bool:
    """Whether each pair of existing ranks on the diagonals belongs to the placement, at every length."""
    tiles = f"v_I = floor(v_a / {tile.query}) and v_J = floor(v_b / {tile.key})"
    visited = f"exists (v_I, v_J, v_d : {tiles} and {condition(on_diagonals(span), 'v_c')})"
    pairs = placement.domain & IntegerSet.parse(SPACE, visited, (*placement.lengths, "T"))
    if (range_variables(span) | variables(placement.keep)).intersection(placement.lengths):
        pairs = pairs & placement.existing
    return pairs <= placement.pairs
