"""tile: which tiles a placed term touches, as closed-form ranges.

Tiles are classified on the unbounded rank space and clipped to the sequence by whoever runs them: the ragged last
tile is masked apart, so that a length that is no multiple of the tile adds no case here. Per stationary tile the
touched tiles come as at most three ranges, masked before the full ones, full, masked after:

    touched  = image of the term under (a div Bq, b div Bk)
    full     = touched - image of the complement
    before   = partial tiles below some full tile;  after = the other partial tiles

Where all touched tiles are full they are one range. Where the touched or the full tiles of a row are no interval, the
hull is taken and masked: never wrong, only work. Where even that has too many cases, the outline of the term is
(``coarse.py``).
"""

from __future__ import annotations

from functools import lru_cache

from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from .coarse import coarse_ranges
from .diagonal import diagonal_ranges
from .placement import Placement, known_of, seen_from, tiles_of
from .program import TILE, Range, Tile

_OPERATIONS = 64_000
"""For the exact tiles of one term. What does not have them within it has many cases, and is outlined instead."""


@lru_cache(maxsize=1024)  # layout search, merging and fusing ask for the same ones
def query_ranges(placement: Placement, tile: Tile) -> tuple[Range, ...]:
    """Key tiles J touched by query tile I of query class c, or its diagonals, in a program of tiles ``tile``."""
    return _ranges(placement, placement.within(tile), "I", "J")


@lru_cache(maxsize=1024)
def key_ranges(placement: Placement, tile: Tile) -> tuple[Range, ...]:
    """Query tiles I that touch key tile J of key class c, or its diagonals, in a program of tiles ``tile``."""
    return _ranges(placement, placement.within(tile), "J", "I")


def _ranges(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...]:
    if placement.diagonal:
        return diagonal_ranges(placement, tile, still)
    exact = None if placement.row else _within_reach(placement, tile, still, swept)
    return coarse_ranges(placement, tile, still, swept) if exact is None else exact


@lru_cache(maxsize=1024)  # of smaller tiles the same is asked
def _within_reach(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...] | None:
    """The exact ranges; None where they are hard to find, or were for whole tiles, or for queries."""
    if tile != TILE and tile.query == tile.key and _within_reach(placement, TILE, still, swept) is None:
        return None
    if still == "J" and _within_reach(placement, tile, "I", "J") is None:
        return None
    try:
        with budget(_OPERATIONS):
            return _exact_ranges(placement, tile, still, swept)
    except BudgetExceeded:
        return None


def _exact_ranges(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...]:
    pairs = seen_from(still, placement.pairs, placement)
    touched = tiles_of(pairs, tile)
    outside = tiles_of(placement.domain - pairs, tile)
    full = touched - outside
    context = known_of(placement, still)
    if touched <= full and _is_interval(full, swept):
        return _hull(full, swept, context, masked=False)
    if full.empty or not _is_interval(full, swept) or _within_one(touched, tile, swept):
        return _hull(touched, swept, context, masked=True)
    dims = ("c", still, swept, "K")
    below = full.rename({swept: "K"}).onto(dims) & IntegerSet.parse(dims, f"v_{swept} < v_K")
    before = ((touched - full).onto(dims) & below).onto(touched.dims)
    after = touched - full - before
    return (
        *_hull(before, swept, context, masked=True),
        *_hull(full, swept, context, masked=False),
        *_hull(after, swept, context, masked=True),
    )


def _within_one(tiles: IntegerSet, tile: Tile, swept: str) -> bool:
    """Whether all that any stationary tile touches has no more pairs than one of ``TILE``. It is masked as a whole: a
    loop begins with a wait for its first block, which is longer than it takes to mask so much."""
    most = TILE.pairs // tile.pairs
    dims = (*tiles.dims, "K")
    apart = IntegerSet.parse((swept, "K"), f"v_K >= v_{swept} + {most}").onto(dims)
    return most > 1 and (tiles.onto(dims) & tiles.rename({swept: "K"}).onto(dims) & apart).empty


def _is_interval(tiles: IntegerSet, swept: str) -> bool:
    """Whether the swept tiles of every stationary tile are contiguous."""
    dims = (*tiles.dims, "L", "U")
    low = tiles.rename({swept: "L"}).onto(dims)
    high = tiles.rename({swept: "U"}).onto(dims)
    between = low & high & IntegerSet.parse(("L", swept, "U"), f"v_L <= v_{swept} <= v_U").onto(dims)
    return between.onto(tiles.dims) <= tiles


def _hull(tiles: IntegerSet, swept: str, context: IntegerSet, *, masked: bool) -> tuple[Range, ...]:
    if tiles.empty:
        return ()
    if not tiles.bounded(swept):
        tiles = tiles & IntegerSet.parse((swept,), f"v_{swept} < v_T", ("T",)).onto(tiles.dims)
    lo, hi = tiles.interval(swept, context)
    return (Range(lo, hi, masked),)
