"""sizes: the tile of a program, by cost.

A window of 32 keys fills an eighth of the tiles of 128 x 128 that it touches, and half of those of 32 x 32. In these a
pair costs more (``Tile.price``), so that they are arranged for what wastes most of a large tile, and taken where their
price is clearly lower. Tiles are squares: forward has one side stationary and backward the other, and of all stock
patterns a rectangle would be cheaper for a few, by a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..relations.isl.context import BudgetExceeded, budget
from .arrange import Arrangement, arrange, cost_of, overhead
from .count import count_visits
from .merge import merge
from .program import TILE, Tile
from .reference import reference_length
from .split import Part, attended
from .tile import query_ranges
from .ways import Refused

SMALLER = (Tile(64, 64), Tile(32, 32), Tile(16, 16))
"""The least block of a GPU's matrix units has 16 rows."""

MOST_WASTE = 1.4
"""A program that computes no more scores than so many times its pairs keeps to ``TILE``."""

CLEAR = 0.9
"""A smaller tile is taken for at most so much of the price, since prices are arithmetic; and of the tiles whose prices
are no further apart that of the fewest scores."""

_OPERATIONS = 1_500_000
"""For the arrangement in one smaller tile."""

_ROWS, _SAMPLE = 64, 1 << 20
"""So many queries are sampled, or as many as have so many pairs."""


@dataclass(frozen=True)
class Sized:
    """The arrangements in one tile, which touch so many ``tiles`` at ``length``; what all of them cost, overhead
    included, in unmasked tiles of ``TILE``."""

    tile: Tile
    arrangements: tuple[Arrangement, ...]
    length: int
    tiles: int
    price: float


def sizes(parts: Sequence[Part], tile: Tile | None = None) -> tuple[Sized, ...]:
    """The arrangements in each tile that was tried, first those to take: of the smaller tiles that are clearly cheaper
    one of the cheapest, or those of ``TILE``. With a ``tile``, in that alone. Raises Refused or BudgetExceeded where
    the first tile that is tried has none."""
    length = max((reference_length(part) for part in parts), default=1)
    first = _sized(parts, tile or TILE, length)
    if tile is not None:
        return (first,)
    pairs = _pairs(parts, length)
    if _scores(first) <= MOST_WASTE * pairs:
        return (first,)
    found = [first]
    for smaller in SMALLER:
        # As cheap as it could be: no score in vain, no mask, no overhead.
        if pairs / smaller.pairs * smaller.price >= found[-1].price:
            break
        try:
            with budget(_OPERATIONS):
                found.append(_sized(parts, smaller, length))
        except (BudgetExceeded, Refused):
            break
        if found[-1].price > found[-2].price:
            break
    return tuple(sorted(found, key=partial(_rank, found)))


def _scores(sized: Sized) -> int:
    """That are computed at its length, where narrow tiles count as whole ones: these are narrow in smaller tiles too,
    and say nothing of what is left."""
    placements = [placement for each in sized.arrangements for placement in each.placements]
    visits = (
        each
        for placement in placements
        for each in count_visits(query_ranges(placement, sized.tile), placement, sized.tile, sized.length)
    )
    return sum(each.tiles * sized.tile.pairs + each.diagonals * sized.tile.query for each in visits)


def _rank(found: Sequence[Sized], one: Sized) -> tuple[bool, bool, float]:
    """The smaller the sooner ``one`` is taken, of those that were ``found``, ``TILE`` first."""

    def clear(each: Sized) -> bool:
        return each is found[0] or each.price <= CLEAR * found[0].price

    least = min(each.price for each in found if clear(each))
    near = clear(one) and CLEAR * one.price <= least
    return not clear(one), not near, one.tiles * one.tile.pairs if near else one.price


def _sized(parts: Sequence[Part], tile: Tile, length: int) -> Sized:
    arrangements = merge(arrange(parts, tile), tile)
    placements = [placement for each in arrangements for placement in each.placements]
    tiles, price = cost_of(placements, tile, length)
    return Sized(tile, arrangements, length, tiles, price + overhead(placements, tile))


def _pairs(parts: Sequence[Part], length: int) -> float:
    """About how many pairs there are at a length: of a sample of queries, evenly spread but aligned to no period."""
    count = min(_ROWS, length, max(1, _SAMPLE // length))
    cells = np.arange(count)
    queries = ((cells + (0.5 + cells * 0.6180339887498949) % 1.0) * (length / count)).astype(np.int64)
    return sum(int(attended(part.relation, queries, length).sum()) for part in parts) * length / count
