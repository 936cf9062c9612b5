"""merge: undo a split that does not pay.

    A | B  ->  one term        when A and B are in the same orders and their tiles overlap or adjoin enough

Diagonals of a log-sparse pattern that fall into the same tiles become one masked term again. What a union would touch
is estimated by the hull of what its parts touch, so that only unions that are kept are ever tiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .arrange import Arrangement
from .count import bounds, tile_count
from .program import Tile
from .tile import Placement, query_ranges


@dataclass(frozen=True)
class _Extent:
    """The key tiles [lo, hi) that each query tile of the first class touches."""

    lo: NDArray[np.int64]
    hi: NDArray[np.int64]

    @property
    def tiles(self) -> int:
        return int(np.maximum(self.hi - self.lo, 0).sum())

    def hull(self, other: _Extent) -> _Extent:
        mine, theirs = self.hi > self.lo, other.hi > other.lo
        lo = np.where(mine & theirs, np.minimum(self.lo, other.lo), np.where(mine, self.lo, other.lo))
        return _Extent(lo, np.where(mine & theirs, np.maximum(self.hi, other.hi), np.where(mine, self.hi, other.hi)))


def merge(arrangements: Sequence[Arrangement], tile: Tile) -> tuple[Arrangement, ...]:
    """The same pairs in fewer terms where that saves tiles."""
    length = max((arrangement.length for arrangement in arrangements), default=0)
    merged: list[tuple[Arrangement, _Extent]] = []
    for arrangement in arrangements:
        extent = _extent(arrangement.placements[0], tile, length)
        for position, (other, other_extent) in enumerate(merged):
            joint = extent.hull(other_extent) if _alike(arrangement, other) else None
            if joint is not None and joint.tiles < extent.tiles + other_extent.tiles:
                merged[position] = (_joined(other, arrangement, joint), joint)
                break
        else:
            merged.append((arrangement, extent))
    return tuple(arrangement for arrangement, _ in merged)


def _extent(placement: Placement, tile: Tile, n: int) -> _Extent:
    rows = tile_count(placement.query, 0, n, tile.query)
    columns = tile_count(placement.key, placement.shift % placement.key.classes, n, tile.key)
    total = _Extent(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64))
    for span in query_ranges(placement, tile):
        total = total.hull(_Extent(*bounds(span, rows, 0, columns, n, "I")))
    return total


def _alike(left: Arrangement, right: Arrangement) -> bool:
    if len(left.placements) != 1 or len(right.placements) != 1:
        return False
    a, b = left.placements[0], right.placements[0]
    return (a.query, a.key, a.shift) == (b.query, b.key, b.shift)


def _joined(left: Arrangement, right: Arrangement, extent: _Extent) -> Arrangement:
    a, b = left.placements[0], right.placements[0]
    labels = dict.fromkeys((*a.label.split(" | "), *b.label.split(" | ")))
    placement = replace(a, pairs=a.pairs | b.pairs, label=" | ".join(labels))
    part = replace(left.part, relation=left.part.relation | right.part.relation, label=placement.label)
    tiles = extent.tiles * placement.query.classes
    return Arrangement(part, (placement,), max(left.length, right.length), tiles, ())
