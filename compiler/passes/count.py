"""How many tiles a placed term touches at a length: what layout search minimises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..relations.integer import evaluate, variables
from .program import Order, Range, Tile
from .tile import Placement, query_ranges


def tiles_touched(placement: Placement, tile: Tile, n: int) -> int:
    """Tiles that the ranges of a placement visit at length n, over all classes."""
    return sum(count for count, _ in count_tiles(query_ranges(placement, tile), placement, tile, n))


def count_tiles(ranges: Sequence[Range], placement: Placement, tile: Tile, n: int) -> tuple[tuple[int, bool], ...]:
    """(tiles, masked) of each key range at length n, over all query tiles and classes."""
    return tuple((_count(span, placement, tile, n), span.masked) for span in ranges)


def _count(span: Range, placement: Placement, tile: Tile, n: int) -> int:
    total = 0
    for cls, repeat in _classes(span, placement.query):
        rows = tile_count(placement.query, cls, n, tile.query)
        columns = tile_count(placement.key, (cls + placement.shift) % placement.key.classes, n, tile.key)
        lo, hi = bounds(span, rows, cls, columns, n, "I")
        total += repeat * int(np.maximum(hi - lo, 0).sum())
    return total


def _classes(span: Range, order: Order) -> tuple[tuple[int, int], ...]:
    """(class, how often it counts): one class stands for all where the range is the same for each."""
    if "c" in variables(span.lo) | variables(span.hi):
        return tuple((cls, 1) for cls in range(order.classes))
    return ((0, order.classes),)


def tile_count(order: Order, cls: int, n: int, size: int) -> int:
    """ceil(ranks / size)."""
    return -(-order.ranks(cls, n) // size)


def bounds(
    span: Range, tiles: int, cls: int, other_tiles: int, n: int, still: str, nk: int | None = None
) -> tuple[Any, Any]:
    """lo and hi of every stationary tile 0..tiles-1, clipped to the tiles that exist: two int64 arrays [tiles].

    ``n`` is the number of tokens, in a cross program that of queries, with ``nk`` that of keys.
    """
    index = np.arange(tiles, dtype=np.int64)
    values = {still: index, "c": cls, "T": other_tiles, "n": n, "nq": n, "nk": n if nk is None else nk}
    lo = np.broadcast_to(evaluate(span.lo, values, np), index.shape)
    hi = np.broadcast_to(evaluate(span.hi, values, np), index.shape)
    return np.maximum(lo, 0), np.minimum(hi, other_tiles)
