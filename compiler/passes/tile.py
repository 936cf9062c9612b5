"""tile: which tiles a placed term touches, as closed-form ranges.

Tiles are classified on the unbounded rank space and clipped to the sequence by whoever runs them: the ragged last
tile is masked apart, so that a length that is no multiple of the tile adds no case here. Per stationary tile the
touched tiles come as at most three ranges, masked before the full ones, full, masked after:

    touched  = image of the term under (a div Bq, b div Bk)
    full     = touched - image of the complement
    before   = partial tiles below some full tile;  after = the other partial tiles

Where the touched or the full tiles of a row are no interval, the hull is taken and masked: never wrong, only work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from ..relations.integer import Predicate
from ..relations.presburger import IntegerSet
from .program import Order, Range, Tile

SPACE = ("c", "a", "b")
"""Query class, query rank, key rank: the coordinates of a placed term."""


@dataclass(frozen=True)
class Placement:
    """A part of the pattern in the orders in which it is computed. ``pairs`` is over SPACE, unbounded above."""

    pairs: IntegerSet
    query: Order
    key: Order
    shift: int
    label: str
    line: int
    lengths: tuple[str, ...] = ("n",)

    @cached_property
    def domain(self) -> IntegerSet:
        """The ranks and classes that exist, whatever the length."""
        return IntegerSet.parse(SPACE, f"0 <= v_c < {self.query.classes} and v_a >= 0 and v_b >= 0")

    @cached_property
    def keep(self) -> Predicate:
        """Membership in the term, exact for existing ranks."""
        return self.pairs.predicate(self.domain)


@lru_cache(maxsize=1024)  # layout search, merging and fusing ask for the same ones
def query_ranges(placement: Placement, tile: Tile) -> tuple[Range, ...]:
    """Key tiles J touched by query tile I of query class c."""
    return _ranges(placement, tile, "I", "J")


def key_ranges(placement: Placement, tile: Tile) -> tuple[Range, ...]:
    """Query tiles I that touch key tile J of key class c."""
    classes = placement.query.classes
    if classes > 1 and placement.shift:
        # Seen from the keys, c names the key class.
        turned = placement.pairs.image(("d", "a", "b"), f"v_d = (v_c + {placement.shift}) mod {classes}")
        placement = replace(placement, pairs=turned.rename({"d": "c"}), shift=0)
    return _ranges(placement, tile, "J", "I")


def _ranges(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...]:
    touched = _tiles(placement.pairs, tile)
    outside = _tiles(placement.domain - placement.pairs, tile)
    full = touched - outside
    exist = " and ".join(f"v_{length} >= 1" for length in (*placement.lengths, "T"))
    context = IntegerSet.parse(
        ("c", still), f"0 <= v_c < {placement.query.classes} and v_{still} >= 0 and {exist}", (*placement.lengths, "T")
    )
    if full.empty or not _is_interval(full, swept):
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


def _tiles(pairs: IntegerSet, tile: Tile) -> IntegerSet:
    return pairs.image(("c", "I", "J"), f"v_I = floor(v_a / {tile.query}) and v_J = floor(v_b / {tile.key})")


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
