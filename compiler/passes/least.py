"""least: how few tiles a range can have that has all those of an outline, however it is written.

Each way to write a range has, of every stationary tile and step of its fan, all tiles from the first of the outline to
the last. These are told by its constraints, in which nothing is quantified, for many tiles at once; to write a range
down takes isl many times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..relations.divided import Divided, Linear
from ..relations.integer import evaluate, length_values
from ..relations.isl.presburger import IntegerSet
from .count import Ends, first_seen, sides, steps_of
from .outline import Outline
from .placement import Placement
from .program import Range, Tile


def least_tiles(
    tiles: IntegerSet, within: Range, *, view: Outline, placement: Placement, tile: Tile, n: int, still: str
) -> int:
    """Of the tiles of an outline, or of a part of it, at length n and in all classes, each once. ``within``: a range
    that has them all."""
    pieces, swept, total = tiles.divided(), tiles.dims[-1], 0
    each_class = any(name == "c" for piece in pieces for each in piece.constraints for name, _ in each.factors)
    for cls, repeat, rows, columns in sides(placement, tile, n, still, each_class=each_class):
        values = {still: np.arange(rows, dtype=np.int64), "c": cls, "T": columns, **length_values(n)}
        steps = np.arange(1) if within.fan is None else steps_of(within.fan, values, rows)[0]
        marks = {name: evaluate(mark, values, np) for name, mark in view.marks.items()}
        ends = _hulls(pieces, swept, {**values, **marks, "d": steps[:, None]}, (len(steps), rows), columns)
        total += repeat * sum(int(np.maximum(hi - lo, 0).sum()) for lo, hi in first_seen([*zip(*ends, strict=True)]))
    return total


def _hulls(
    pieces: Sequence[Divided], swept: str, values: Mapping[str, Any], shape: tuple[int, ...], most: int
) -> Ends:
    """lo and hi of the numbers ``swept`` below ``most`` in one of some pieces: int64 arrays of a shape; lo = hi where
    there is none."""
    low, high = np.full(shape, most), np.zeros(shape, dtype=np.int64)
    for piece in pieces:
        lo, hi, there = _hull(piece, swept, values, most)
        there = there & (lo < hi)
        low, high = np.where(there, np.minimum(low, lo), low), np.where(there, np.maximum(high, hi), high)
    return np.minimum(low, high), high


def _hull(piece: Divided, swept: str, values: Mapping[str, Any], most: int) -> tuple[Any, Any, Any]:
    """lo, hi, and what the piece says of the others."""
    lo, hi, there = np.int64(0), np.int64(most), np.bool_(True)
    for each in piece.constraints:
        factors = dict(each.factors)
        own = factors.pop(swept, 0)
        rest = Linear(tuple(factors.items()), each.constant, each.by).value(values)
        if not own:
            there = there & (rest == 0 if each.by else rest >= 0)
        if own > 0 or (own and each.by):  # own * swept >= -rest
            lo = np.maximum(lo, -(rest // own))
        if own < 0 or (own and each.by):  # -own * swept <= rest
            hi = np.minimum(hi, rest // -own + 1)
    return lo, hi, there
