"""full: whether every tile of a range is full, so that it needs no mask.

The outline of a term that is made of whole tiles is exact, and its ranges hold only full ones. A few are looked at
first: a proof is tried only where those are.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..relations.divided import holds
from ..relations.formula import condition
from ..relations.integer import All, Compare, Predicate, Var, length_values, variables
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from .count import bounds, tile_count
from .placement import SPACE, Placement
from .program import Range, Tile, range_variables

MOST_LOOKED_AT = 8
"""Steps of a fan of which tiles are looked at."""

LONGEST_LENGTH = 1 << 19
"""They are looked for at no longer ones."""

MOST_CORNERS = 256
"""Tiles of a step of which the corners are."""

Tiles: TypeAlias = NDArray[np.int64]

_OPERATIONS = 100_000


def only_full(span: Range, placement: Placement, tile: Tile, still: str, n: int) -> bool:
    """Whether each pair of existing ranks in the tiles of the range belongs to the placement, at every length."""
    try:
        with budget(_OPERATIONS):
            return seem_full(span, placement, tile, still, n) and _are_full(span, placement, tile, still)
    except BudgetExceeded:
        return False


def seem_full(span: Range, placement: Placement, tile: Tile, still: str, n: int) -> bool:
    """Whether some whole tiles of the first class, at length n or a longer one, are full; and many more, as far as
    their corners tell."""
    while not (ends := _ends(span, placement, tile, still, n)) and n < LONGEST_LENGTH:
        n *= 4  # the pairs of tokens that are far apart are in long sequences only
    steps = [(np.flatnonzero(hi > lo), lo, hi - 1) for lo, hi in ends[:: max(1, len(ends) // MOST_LOOKED_AT)]]
    corners = [_at_ends(touching[:: max(1, len(touching) // MOST_CORNERS)], *step) for touching, *step in steps]
    middles = [_at_ends(touching[len(touching) // 2 :][:1], *step) for touching, *step in steps]
    looks = [(look, 2) for look in corners] + [(look, 0) for look in middles]
    return all(_hold(placement, tile, look if still == "I" else look[::-1], sides, n) for look, sides in looks)


def _ends(span: Range, placement: Placement, tile: Tile, still: str, n: int) -> list[tuple[Tiles, Tiles]]:
    """The ends of each step that has a tile at length n."""
    key_class = placement.turn.of(0, placement.key.classes)
    queries, keys = tile_count(placement.query, 0, n, tile.query), tile_count(placement.key, key_class, n, tile.key)
    own, others, cls = (queries, keys, 0) if still == "I" else (keys, queries, key_class)
    return [(lo, hi) for lo, hi in bounds(span, own, cls, others, n, still).values() if (hi > lo).any()]


def _at_ends(own: Tiles, first: Tiles, last: Tiles) -> tuple[Tiles, Tiles]:
    """(stationary tiles, swept ones): of each the first and the last."""
    return np.concatenate([own, own]), np.concatenate([first[own], last[own]])


def _hold(placement: Placement, tile: Tile, tiles: tuple[Tiles, Tiles], sides: int, n: int) -> bool:
    """Whether the pairs of tiles (of queries, of keys) that exist at length n belong to the placement; those of
    ``sides`` ranks of either side, or all."""
    within = [np.linspace(0, size - 1, sides or size, dtype=np.int64) for size in (tile.query, tile.key)]
    a = (tiles[0][:, None] * tile.query + within[0])[:, :, None]
    b = (tiles[1][:, None] * tile.key + within[1])[:, None, :]
    values = {"c": 0, "a": a, "b": b, **length_values(n)}
    shape = np.broadcast_shapes(a.shape, b.shape)
    return not np.any(holds(placement.there, values, shape) & ~holds(placement.members, values, shape))


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
