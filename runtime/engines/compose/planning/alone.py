"""Tiles that stand alone, many at once. To tell what is left of a mask on one would take longer than to evaluate it for
all of its pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from .....compiler.relations.integer import TRUE, Predicate, evaluate
from ..plan.tiles import Mask, Tiles

LARGEST = 1 << 13
"""Of a tile with more pairs it is told what is left of a mask before that is evaluated."""

AT_ONCE = 1 << 17
"""Pairs that are looked at together."""

Open: TypeAlias = Predicate | Mask
"""What is left of a mask on a run: a predicate, the same for all of its tiles, or which pairs [rows, keys] it keeps."""


Told: TypeAlias = tuple[Tiles, Predicate | None]
"""A run, and what is left of a mask on it; None where that is not told."""


def is_masked(left: Open) -> bool:
    return isinstance(left, np.ndarray) or left != TRUE


def is_small(tiles: Tiles) -> bool:
    """Whether each of its tiles has few pairs, and as many as the others."""
    return not tiles.growth and tiles.rows * tiles.keys <= LARGEST


def evaluated(keep: Predicate, told: Iterable[Told], known: dict[str, int]) -> Iterator[tuple[Tiles, Open]]:
    """These runs in their order, of small tiles with their masks: neighbours that keep the same pairs as one, without
    those of which no pair is kept."""
    held: list[Told] = []
    pairs = 0
    for tiles, left in told:
        held.append((tiles, left))
        pairs += tiles.rows * tiles.keys if is_small(tiles) else 0
        if pairs >= AT_ONCE:
            yield from _joined(_with_masks(keep, held, known))
            held, pairs = [], 0
    yield from _joined(_with_masks(keep, held, known))


def _with_masks(keep: Predicate, told: Sequence[Told], known: dict[str, int]) -> Iterator[tuple[Tiles, Open]]:
    """Each run, of small tiles with the mask of the first, which is that of all."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for at, (tiles, left) in enumerate(told):
        if is_small(tiles) and left != TRUE:
            shapes.setdefault((tiles.rows, tiles.keys), []).append(at)
    masks: dict[int, Mask] = {}
    for (rows, keys), which in shapes.items():
        row, key = np.array([(told[at][0].row, told[at][0].key) for at in which], dtype=np.int64).T
        a, b = row[:, None, None] + np.arange(rows)[:, None], key[:, None, None] + np.arange(keys)
        kept = np.asarray(evaluate(keep, {**known, "a": a, "b": b}, np, {}), dtype=np.bool_)
        masks.update(zip(which, np.broadcast_to(kept, (len(which), rows, keys)), strict=True))
    for at, (tiles, left) in enumerate(told):
        if (mask := masks.get(at)) is None:
            assert left is not None
            yield tiles, left
        elif mask.any():
            yield tiles, TRUE if mask.all() else mask


def _joined(runs: Iterable[tuple[Tiles, Open]]) -> Iterator[tuple[Tiles, Open]]:
    pending: tuple[Tiles, Open] | None = None
    for tiles, left in runs:
        if pending is not None:
            before, mask = pending
            if before.part(before.count, tiles.count) == tiles and _equal(mask, left):
                pending = before.part(0, before.count + tiles.count), mask
                continue
            yield pending
        pending = tiles, left
    if pending is not None:
        yield pending


def _equal(one: Open, two: Open) -> bool:
    """Whether two masks of small tiles are seen to be the same."""
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return np.array_equal(one, two)
    return not is_masked(one) and not is_masked(two)
