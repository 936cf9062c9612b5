"""A run of masked blocks cut along its rows: each slice takes the keys that its own rows read, and fewer scores are
computed in vain.

Slices that look alike and follow each other, as those of a window do, are one run of smaller blocks.

A mask that decides along its diagonal alone is cut in quarters instead: those on the diagonal are one run of
half the size, which is cut again; of the others each is a block without a mask, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..plan.tiles import LANES, Mask, Tiles, cut_off, equal

ROWS = (32, 64, 128)
"""Of a slice. The kernel takes 32 queries at a time where a block is small."""

MOST = 8
"""Slices of a run that do not look alike."""

Masked = tuple[Tiles, Mask | None]


def slices(tiles: Tiles, mask: Mask, rows: int) -> list[Masked] | None:
    """The run in slices of so many rows; None where it is no longer than one, or they are too many."""
    if tiles.rows <= rows:
        return None
    found: list[Masked] = []
    for first in range(0, tiles.rows, rows):
        own = mask[first : first + rows]
        part = cut_off(tiles.inner(first, len(own), 0, tiles.keys), own)
        if part is not None:
            found.append(part)
        if len(found) > MOST and not _goes_on(found):
            return None
    joined = _joined(tiles, found)
    return [joined] if joined is not None else found if len(found) <= MOST else None


def _goes_on(found: Sequence[Masked]) -> bool:
    """Whether the last slice is as far from the one before as the second is from the first, and as large."""
    one, two, before, last = (found[at][0] for at in (0, 1, -2, -1))
    steps = ((after.row - first.row, after.key - first.key) for first, after in ((one, two), (before, last)))
    return len({*steps}) == len({(each.rows, each.keys) for each in (one, two, before, last)}) == 1


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


def quarters(tiles: Tiles, mask: Mask) -> Iterator[list[Masked]]:
    """The run in quarters, and these on the diagonal in quarters again, as often as that can be."""
    beside: list[Masked] = []
    while (cut := _quartered(tiles, mask)) is not None:
        tiles, mask, others = cut
        beside += ((other, None) for other in others)
        yield [(tiles, mask), *beside]


def _quartered(tiles: Tiles, mask: Mask) -> tuple[Tiles, Mask, list[Tiles]] | None:
    """The quarters on the diagonal as one run, their mask, and of the others those that are kept; None where they are
    no such run, or too small."""
    (half, odd), (keys, rest) = (divmod(size, 2) for size in mask.shape)
    even = tiles.count == 1 or (tiles.row_step, tiles.key_step) == mask.shape
    if odd or rest or half < ROWS[-1] or keys % LANES or not even:
        return None
    first, upper, lower, last = mask[:half, :keys], mask[:half, keys:], mask[half:, :keys], mask[half:, keys:]
    if not np.array_equal(first, last) or any(each.any() and not each.all() for each in (upper, lower)):
        return None
    one = tiles.inner(0, half, 0, keys)
    run = replace(one, row_step=half, key_step=keys, count=2 * tiles.count)
    others = (tiles.inner(0, half, keys, keys), upper), (tiles.inner(half, half, 0, keys), lower)
    return run, np.ascontiguousarray(first), [other for other, kept in others if kept.any()]
