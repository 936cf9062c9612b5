"""A term whose mask says of itself that it holds few pairs, as the one of the last token with the first: a block of
these alone, for which no tile is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import Sweep, Tile
from .....compiler.relations.affine import Box
from .....compiler.relations.integer import All, Compare, Predicate, Var, evaluate
from .....compiler.relations.linear import ONE, Sum, at_least_0
from ..plan.tiles import Mask, Tiles, cut_off

MOST_PAIRS = 1 << 10

_Known: TypeAlias = Mapping[str, int]


def corner(
    sweep: Sweep, tile: Tile, key_tiles: int, keep: Predicate, box: Box, known: _Known
) -> list[tuple[Tiles, Mask | None]] | None:
    """The pairs of a term with their mask, as ``masks.masked``, where ``keep`` bounds its ranks so that they are few
    of many: one block, or none where there is no pair. None where it does not bound them."""
    sums, every = _sums(Pinned(keep)), math.prod(box[name][1] + 1 for name in ("a", "b"))
    if not sums or every <= MOST_PAIRS or any(span.fan is not None or not span.masked for span in sweep.ranges):
        return None
    (row, last_row), (key, last_key) = (_bounds(Var(name), box[name], sums, known) for name in ("a", "b"))
    rows, keys = max(0, last_row - row + 1), max(0, last_key - key + 1)
    if rows * keys > MOST_PAIRS:
        return None
    if not rows * keys:
        return []
    a, b = np.arange(row, last_row + 1)[:, None], np.arange(key, last_key + 1)[None, :]
    kept = _visited(sweep, tile, key_tiles, a, b, known) & evaluate(keep, {**known, "a": a, "b": b}, np)
    found = cut_off(Tiles(row, rows, 0, key, keys, 0, 1), np.broadcast_to(kept, (rows, keys)))
    return [] if found is None else [found]


@lru_cache(maxsize=256)
def _sums(pinned: Pinned[Predicate]) -> tuple[Sum, ...]:
    """Sums of ranks and lengths that are 0 or more where a predicate holds."""
    parts = pinned.program.parts if isinstance(pinned.program, All) else ()
    found = [at_least_0(part) for part in parts if isinstance(part, Compare)]
    return tuple(
        sums for sums in found if sums is not None and all(isinstance(each, Var) or each == ONE for each in sums)
    )


def _bounds(rank: Var, ends: tuple[int, int], sums: tuple[Sum, ...], known: _Known) -> tuple[int, int]:
    """The least and the greatest of these values of a rank of which each sum may be 0 or more."""
    low, high = ends
    for each in sums:
        others = [(part, factor) for part, factor in each.items() if part != rank]
        by = each.get(rank, 0)
        if by and all(part == ONE or (isinstance(part, Var) and part.name in known) for part, _ in others):
            rest = sum(factor * (known[part.name] if isinstance(part, Var) else 1) for part, factor in others)
            # Where by times the rank, and the rest, are 0 or more.
            low, high = (max(low, -(rest // by)), high) if by > 0 else (low, min(high, rest // -by))
    return low, high


def _visited(sweep: Sweep, tile: Tile, key_tiles: int, a: Any, b: Any, known: _Known) -> Any:
    """Whether some range visits the tile of a pair."""
    values, found = {**known, "I": a // tile.query, "T": key_tiles}, np.False_
    for span in sweep.ranges:
        lo, hi = (evaluate(end, values, np) for end in (span.lo, span.hi))
        found = found | ((lo <= b // tile.key) & (b // tile.key < hi))
    return found
