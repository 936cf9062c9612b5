"""A run of masked blocks cut along its rows: each slice takes the keys that its own rows read, and fewer scores are
computed in vain.

Slices that look alike and follow each other, as those of a window do, are one run of smaller blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ..plan.tiles import Mask, Tiles, cut_off, equal

ROWS = (32, 64, 128)
"""Of a slice. The kernel takes 32 queries at a time where a block is small."""

MOST = 8
"""Slices of a run that do not look alike."""

Masked = tuple[Tiles, Mask | None]


def slices(tiles: Tiles, mask: Mask, rows: int) -> list[Masked] | None:
    """The run in slices of so many rows; None where it is no longer than one, or they are too many."""
    if tiles.rows <= rows:
        return None
    found = []
    for first in range(0, tiles.rows, rows):
        own = mask[first : first + rows]
        part = cut_off(replace(tiles, row=tiles.row + first, rows=len(own)), own)
        if part is not None:
            found.append(part)
    joined = _joined(tiles, found)
    return [joined] if joined is not None else found if len(found) <= MOST else None


def _joined(tiles: Tiles, found: Sequence[Masked]) -> Masked | None:
    """All slices as one run; None where they are no such run."""
    (first, mask), count = found[0], len(found)
    steps = {(two.row - one.row, two.key - one.key) for (one, _), (two, _) in pairwise(found)}
    if len(steps) != 1 or not all((own.rows, own.keys) == (first.rows, first.keys) for own, _ in found):
        return None
    [(row_step, key_step)] = steps
    even = tiles.count == 1 or (tiles.row_step, tiles.key_step) == (count * row_step, count * key_step)
    if not even or key_step < 0 or not all(equal(mask, other) for _, other in found):
        return None
    return replace(first, row_step=row_step, key_step=key_step, count=count * tiles.count), mask
