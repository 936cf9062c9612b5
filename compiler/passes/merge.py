"""merge: undo a split that does not pay.

    A | B  ->  one term        when A and B are in the same orders and their tiles overlap or adjoin enough, or both
                               are diagonals
    all    ->  one term        when natural order, or that of boxes, costs no more for all together than their own
                               orders for each

Diagonals of a log-sparse pattern that fall into the same tiles become one masked term again, and so do the windows at
the borders of a grid and that in its middle. What a union would touch is estimated by the hull of what its parts touch,
so that only unions that promise something are ever tiled. Both directions count: a window and the first row are cheap
as one for queries, and for a key there lies everything between the first query and its own.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..relations.isl.presburger import IntegerSet
from ..relations.relation import Relation
from .arrange import TERM_TILES, Arrangement, Search, cost_of, in_natural_order, overhead
from .candidates import in_orders_of_all
from .count import bounds, tile_count
from .placement import Placement
from .program import Tile
from .reference import reference_length
from .split import Part
from .tile import key_ranges, query_ranges
from .ways import Refused

PROMISING = 1.6
"""Of the orders for all none but natural order is tiled whose outline costs more than so many times what the parts do
for queries; and where the best of them costs so much, it is not asked what it costs for keys."""

Tiles: TypeAlias = NDArray[np.int64]
United = TypeVar("United", IntegerSet, Relation)


@dataclass(frozen=True)
class _Extent:
    """The tiles [lo, hi) of one side that each tile of the other touches, of the first class, by the step of the fan;
    of diagonals nothing."""

    steps: Mapping[int, tuple[Tiles, Tiles]]

    @property
    def tiles(self) -> int:
        return sum(int(np.maximum(hi - lo, 0).sum()) for lo, hi in self.steps.values())

    def hull(self, other: _Extent) -> _Extent:
        shared = {d: _hull(ends, other.steps[d]) for d, ends in self.steps.items() if d in other.steps}
        return _Extent({**self.steps, **other.steps, **shared})


def _hull(one: tuple[Tiles, Tiles], two: tuple[Tiles, Tiles]) -> tuple[Tiles, Tiles]:
    (lo, hi), (other_lo, other_hi) = one, two
    mine, theirs = hi > lo, other_hi > other_lo
    low = np.where(mine & theirs, np.minimum(lo, other_lo), np.where(mine, lo, other_lo))
    return low, np.where(mine & theirs, np.maximum(hi, other_hi), np.where(mine, hi, other_hi))


def merge(arrangements: Sequence[Arrangement], tile: Tile) -> tuple[Arrangement, ...]:
    """The same pairs in fewer terms where that saves tiles, at each length that the parts ask for."""
    lengths = _lengths(arrangements)
    merged: list[_Extended] = []
    for arrangement in arrangements:
        # What those touch that no other may join is not asked: for keys the ranges may be long to find.
        joins = any(_alike(arrangement, other) for other in arrangements if other is not arrangement)
        own = arrangement, _extents(arrangement.placements[0], tile, lengths) if joins else ()
        for position, other in enumerate(merged):
            if _alike(arrangement, other[0]) and (joint := _joint(other, own, tile, lengths)) is not None:
                merged[position] = joint
                break
        else:
            merged.append(own)
    return _whole_or_parts([arrangement for arrangement, _ in merged], tile, lengths)


def _lengths(arrangements: Sequence[Arrangement]) -> tuple[int, ...]:
    """At which parts are compared with their unions: the longest that one of them asks for, and of those that change
    with the length each its own. A block at the end of a sequence may be part of a window at all lengths but some."""
    longest = max((arrangement.length for arrangement in arrangements), default=0)
    own = {each.length for each in arrangements if each.part.relation.depends_on_length}
    return tuple(sorted({longest, *own}))


_Extents: TypeAlias = tuple[tuple[_Extent, _Extent], ...]
"""Seen from queries, and from keys; at each length."""

_Extended: TypeAlias = tuple[Arrangement, _Extents]


def _joint(left: _Extended, right: _Extended, tile: Tile, lengths: Sequence[int]) -> _Extended | None:
    """Both as one term; None where that does not pay."""
    (one, extents), (two, others) = left, right
    if one.placements[0].diagonal:
        joined = _diagonals(one, two, tile)
        return None if joined is None else (joined, extents)
    room = 2 * TERM_TILES / one.placements[0].within(tile).price
    limits = [mine + theirs + room for mine, theirs in zip(_tiles(extents), _tiles(others), strict=True)]
    hulls = tuple((a.hull(b), c.hull(d)) for (a, c), (b, d) in zip(extents, others, strict=True))
    if not all(map(operator.lt, _tiles(hulls), limits)):
        return None
    joined = _joined(one, two, tile)
    joint = _extents(joined.placements[0], tile, lengths)
    return (joined, joint) if all(map(operator.lt, _tiles(joint), limits)) else None


def _whole_or_parts(parts: Sequence[Arrangement], tile: Tile, lengths: Sequence[int]) -> tuple[Arrangement, ...]:
    """All in natural order or in boxes, or each in its own, whichever costs less, or has ranges at all."""
    if len(parts) < 2:
        return tuple(parts)
    placements = [placement for part in parts for placement in part.placements]
    label = " | ".join(dict.fromkeys(part.part.label for part in parts))
    together = Part(_united(tuple(part.part.relation for part in parts)), label, parts[0].part.line)
    most = cost_of(placements, tile, reference_length(together))[1] + overhead(placements, tile)
    # What costs too much in natural order by itself costs no less together with others.
    hopeless = max(part.natural for part in parts) > PROMISING * most
    choices = (way for way in in_orders_of_all(together, tile) if not (hopeless and in_natural_order(way)))
    try:
        whole = Search(together, choices, tile).cheapest(frozenset(), PROMISING * most)
    except Refused:  # a window, and a key at the end of another sequence: any number of tiles lies between
        return tuple(parts)
    if whole.price > PROMISING * most:
        return tuple(parts)
    pays = (_price(whole.placements, tile, length) <= _price(placements, tile, length) for length in lengths)
    return (whole,) if all(pays) else tuple(parts)


@lru_cache(maxsize=64)  # as are kept of candidates: of each tile that is tried, mostly the same
def _united(parts: tuple[United, ...]) -> United:
    return reduce(operator.or_, parts)


def _price(placements: Sequence[Placement], tile: Tile, length: int) -> float:
    """Of both directions together."""
    forward = cost_of(placements, tile, length)[1]
    diagonals = cost_of([one for one in placements if one.diagonal], tile, length)[1]
    keys = sum(_extent(one, tile, length, "J").tiles * one.query.classes * one.within(tile).price for one in placements)
    return forward + diagonals + keys + 2 * overhead(placements, tile)


def _tiles(extents: _Extents) -> list[int]:
    """At each length."""
    return [queries.tiles + keys.tiles for queries, keys in extents]


def _extents(placement: Placement, tile: Tile, lengths: Sequence[int]) -> _Extents:
    return tuple((_extent(placement, tile, n, "I"), _extent(placement, tile, n, "J")) for n in lengths)


def _extent(placement: Placement, tile: Tile, n: int, still: Literal["I", "J"]) -> _Extent:
    total = _Extent({})
    if placement.diagonal:
        return total
    own_tile, key_class = placement.within(tile), placement.turn.of(0, placement.key.classes)
    queries = tile_count(placement.query, 0, n, own_tile.query)
    keys = tile_count(placement.key, key_class, n, own_tile.key)
    if still == "I":
        spans, own, cls, others = query_ranges(placement, tile), queries, 0, keys
    else:
        spans, own, cls, others = key_ranges(placement, tile), keys, key_class, queries
    for span in spans:
        total = total.hull(_Extent(bounds(span, own, cls, others, n, still)))
    return total


def _alike(left: Arrangement, right: Arrangement) -> bool:
    if len(left.placements) != 1 or len(right.placements) != 1:
        return False
    a, b = left.placements[0], right.placements[0]
    alike = (a.query, a.key, a.turn, a.row, a.diagonal) == (b.query, b.key, b.turn, b.row, b.diagonal)
    return alike and a.tile == b.tile


def _diagonals(left: Arrangement, right: Arrangement, tile: Tile) -> Arrangement | None:
    """Both as one term, unless that has too many differences, or costs more."""
    try:
        joined = _joined(left, right, tile)
    except Refused:
        return None
    return joined if joined.price <= left.price + right.price + TERM_TILES else None


def _joined(left: Arrangement, right: Arrangement, tile: Tile) -> Arrangement:
    a, b = left.placements[0], right.placements[0]
    labels = dict.fromkeys((*a.label.split(" | "), *b.label.split(" | ")))
    tokens = None if a.tokens is None or b.tokens is None else _united((a.tokens, b.tokens))
    placement = replace(a, pairs=_united((a.pairs, b.pairs)), tokens=tokens, label=" | ".join(labels))
    relation = _united((left.part.relation, right.part.relation))
    part = replace(left.part, relation=relation, label=placement.label)
    length = max(left.length, right.length)
    tiles, price = cost_of([placement], tile, length)
    return Arrangement(part, (placement,), length, tiles, price, (), max(left.natural, right.natural))
