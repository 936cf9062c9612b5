"""least: how few tiles a range can have that has all those of an outline, however it is written.

Each way to write a range has, of every stationary tile and step of its fan, all tiles from the first of the outline to
the last. These are told by its constraints, in which nothing is quantified, for many tiles at once; to write a range
down takes isl many times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..relations.divided import Divided
from ..relations.integer import evaluate
from ..relations.isl.presburger import IntegerSet
from .count import Ends, first_seen, stationary, steps_of
from .outline import Outline
from .placement import Placement
from .program import Range, Tile


def least_tiles(
    tiles: IntegerSet, within: Range, *, view: Outline, placement: Placement, tile: Tile, n: int, still: str
) -> int:
    """Of the tiles of an outline, or of a part of it, at length n and in all classes, each once. ``within``: a range
    that has them all."""
    pieces = tiles.divided()
    each_class = any(name == "c" for piece in pieces for each in piece.constraints for name, _ in each.factors)
    side = stationary(placement, tile, n, still, each_class=each_class)
    steps = np.arange(1) if within.fan is None else steps_of(within.fan, side.values, side.tiles)[0]
    marks = {name: evaluate(mark, side.values, np) for name, mark in view.marks.items()}
    values: dict[str, Any] = {"d": steps[:, None], **side.values, **marks}
    ends = _hulls(pieces, tiles.dims[-1], values, (len(steps), side.tiles))
    found = first_seen([*zip(*ends, strict=True)])
    return side.repeat * sum(int(np.maximum(hi - lo, 0).sum()) for lo, hi in found)


def _hulls(pieces: Sequence[Divided], swept: str, values: Mapping[str, Any], shape: tuple[int, ...]) -> Ends:
    """lo and hi of the swept tiles that are there in one of some pieces: int64 arrays of a shape; lo = hi where there
    is none."""
    most = values["T"]
    low, high = np.broadcast_to(most, shape), np.zeros(shape, dtype=np.int64)
    for piece in pieces:
        lo, hi = piece.reach(swept, values, np.int64(0), most)
        there = lo < hi
        low, high = np.where(there, np.minimum(low, lo), low), np.where(there, np.maximum(high, hi), high)
    return np.minimum(low, high), high
