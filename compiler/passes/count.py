"""How many tiles, or diagonals, a placed term touches at a length: what layout search minimises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..relations.integer import evaluate, length_values
from .placement import Placement
from .program import Order, Range, Tile, range_variables

Ends: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]

_AT_ONCE = 1 << 17
"""So many tiles of the steps of a fan are evaluated together."""


@dataclass(frozen=True, slots=True)
class Visits:
    """What a key range visits at a length, over all query tiles and classes."""

    tiles: int
    diagonals: int
    masked: bool


def count_visits(ranges: Sequence[Range], placement: Placement, tile: Tile, n: int) -> tuple[Visits, ...]:
    """What each key range visits at length n, in a program of tiles ``tile``."""
    counts = ((span, count_range(span, placement, placement.within(tile), n, "I")) for span in ranges)
    return tuple(
        Visits(0, count, span.masked) if span.diagonal else Visits(count, 0, span.masked) for span, count in counts
    )


def count_range(span: Range, placement: Placement, tile: Tile, n: int, still: str) -> int:
    """Tiles or diagonals of a range at length n, over all tiles I of queries, or J of keys, that stand still, and all
    classes."""
    query, key, shift = (placement.query, tile.query), (placement.key, tile.key), placement.shift
    (own, size), (other, swept) = (query, key) if still == "I" else (key, query)
    total = 0
    for cls, repeat in _classes(span, own):
        turned = (cls + shift if still == "I" else cls - shift) % other.classes
        rows, columns = tile_count(own, cls, n, size), tile_count(other, turned, n, swept)
        for lo, hi in bounds(span, rows, cls, columns, n, still).values():
            total += repeat * int(np.maximum(hi - lo, 0).sum())
    return total


def _classes(span: Range, order: Order) -> tuple[tuple[int, int], ...]:
    """(class, how often it counts): one class stands for all where the range is the same for each."""
    if "c" in range_variables(span):
        return tuple((cls, 1) for cls in range(order.classes))
    return ((0, order.classes),)


def tile_count(order: Order, cls: int, n: int, size: int) -> int:
    """ceil(ranks / size)."""
    return -(-order.ranks(cls, n) // size)


def bounds(
    span: Range, tiles: int, cls: int, other_tiles: int, n: int, still: str, nk: int | None = None
) -> dict[int, Ends]:
    """lo and hi of every stationary tile 0..tiles-1, clipped to the tiles that exist: two int64 arrays [tiles], by
    the step of the fan. A tile that has no such step has lo = hi there; without a fan the one step is 0. Diagonals are
    not clipped.

    ``n`` is the number of tokens, in a cross program that of queries, with ``nk`` that of keys.
    """
    values = {still: np.arange(tiles, dtype=np.int64), "c": cls, "T": other_tiles, **length_values(n, nk)}
    if span.fan is None:
        return {0: _clipped(span, values, (tiles,), other_tiles)}
    first, last = (np.broadcast_to(evaluate(end, values, np), (tiles,)) for end in (span.fan.first, span.fan.last))
    steps = np.arange(int(first.min(initial=0)), int(last.max(initial=0)))
    found: dict[int, Ends] = {}
    for some in np.array_split(steps, -(-len(steps) * tiles // _AT_ONCE) or 1):
        at = some[:, None]
        lo, hi = _clipped(span, values | {"d": at}, (len(some), tiles), other_tiles)
        hi = np.where((first <= at) & (at < last), hi, lo)
        found |= {int(step): (lo[place], hi[place]) for place, step in enumerate(some)}
    return found


def _clipped(span: Range, values: dict[str, Any], shape: tuple[int, ...], most: int) -> Ends:
    lo, hi = (np.broadcast_to(evaluate(end, values, np), shape) for end in (span.lo, span.hi))
    return (lo, hi) if span.diagonal else (np.maximum(lo, 0), np.minimum(hi, most))
