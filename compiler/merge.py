"""merge: undo a split that does not pay.

    A | B  ->  one term        when A and B are in the same orders and together touch fewer tiles than apart

Diagonals of a log-sparse pattern that fall into the same tiles become one masked term again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .arrange import REFERENCE_LENGTH, Arrangement
from .count import tiles_touched
from .presburger import BudgetExceeded, budget
from .program import Tile
from .tile import Placement

_OPERATIONS = 300_000


def merge(arrangements: Sequence[Arrangement], tile: Tile) -> tuple[Arrangement, ...]:
    """The same pairs in fewer terms where that saves tiles."""
    merged: list[Arrangement] = []
    for arrangement in arrangements:
        for position, other in enumerate(merged):
            joined = _join(other, arrangement, tile)
            if joined is not None:
                merged[position] = joined
                break
        else:
            merged.append(arrangement)
    return tuple(merged)


def _join(left: Arrangement, right: Arrangement, tile: Tile) -> Arrangement | None:
    if len(left.placements) != 1 or len(right.placements) != 1:
        return None
    a, b = left.placements[0], right.placements[0]
    if (a.query, a.key, a.shift) != (b.query, b.key, b.shift):
        return None
    label = a.label if a.label == b.label else f"{a.label} | {b.label}"
    both = Placement(a.pairs | b.pairs, a.query, a.key, a.shift, label, a.line)
    length = max(left.length, right.length, REFERENCE_LENGTH)
    try:
        with budget(_OPERATIONS):
            tiles = tiles_touched(both, tile, length)
            apart = tiles_touched(a, tile, length) + tiles_touched(b, tile, length)
    except BudgetExceeded:
        return None
    if tiles >= apart:
        return None
    part = replace(left.part, relation=left.part.relation | right.part.relation, label=label)
    return Arrangement(part, (both,), length, tiles, ())
