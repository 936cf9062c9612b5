"""A stack: groups of tiles, of which the keys that all of a group sees in full are one block without a mask.

What is left on either side is a band over the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .....compiler.relations.affine import Box
from .....compiler.relations.decided import decided
from .....compiler.relations.integer import Predicate
from ..plan.combs import even_runs
from ..plan.tiles import LANES, Tiles
from .shapes import Group, Ranks, Reach, Shape, band, coarser

LONG = 1024
"""Keys of a tile from which on it is asked whether its mask has full parts where none are known."""

FEWEST_STACKS, MOST_TILES_PER_STACK = 16, 32
"""Few groups waste less at the edge of a growing range; the second bounds the mask of that edge."""


def stack(reach: Reach, group: Group, kept: Callable[[], Predicate], known: Box, *, exact: bool) -> list[Shape] | None:
    """Groups of tiles; nothing where no key range has a full part. ``kept`` says what holds of the pairs. ``exact``:
    all pairs of the tiles are kept, so that there is nothing to ask of it."""
    long = not exact and (reach.hi - reach.lo).max(initial=0) > LONG
    if not long and not (reach.full_hi > reach.full_lo).any():
        return None
    per = min(-(-len(reach.lo) // FEWEST_STACKS), MOST_TILES_PER_STACK)
    far = coarser(reach, per)
    if not exact:
        far = _sharper(far, group, kept(), known)
    if not (far.full_hi > far.full_lo).any():
        return None
    size, lo, hi, full_lo, full_hi = far.size, far.lo, far.hi, far.full_lo, far.full_hi
    # What is masked may be behind the full part, and full again behind that.
    tail = _end(kept(), _boxes(far, group, known), hi, full_hi, 1) if long else hi
    shape: list[Shape] = []
    for first, count in even_runs(full_lo, full_hi, growing=True):
        shape += _full(group, size, full_lo[first : first + count], full_hi[first : first + count], first)
    for first, count in even_runs(-hi, -tail, growing=True):
        shape += _full(group, size, tail[first : first + count], hi[first : first + count], first)
    for edge_lo, edge_hi in ((lo, full_lo), (full_hi, tail)):
        edge = Reach(size, edge_lo, edge_hi, edge_lo, edge_lo)
        for first, count in even_runs(edge_lo, edge_hi):
            shape += [(tiles, False) for tiles in band(edge, group, first, count, 1)]
    return shape


def _sharper(reach: Reach, group: Group, keep: Predicate, known: Box) -> Reach:
    """What is reached, and seen in full, told in lanes of keys where it was in tiles."""
    boxes = _boxes(reach, group, known)
    lo = _end(keep, boxes, reach.lo, reach.full_lo, -1)
    hi = _end(keep, boxes, reach.hi, np.maximum(reach.full_hi, lo), -1)
    none = reach.full_hi == reach.full_lo
    full_lo, full_hi = np.where(none, lo, reach.full_lo), np.where(none, lo, reach.full_hi)
    return Reach(
        reach.size,
        lo,
        hi,
        _end(keep, boxes, full_lo, lo, 1),
        _end(keep, boxes, full_hi, hi, 1),
        reach.visited,
    )


def _boxes(reach: Reach, group: Group, known: Box) -> dict[str, Any]:
    """The queries of each tile."""
    first = np.arange(len(reach.lo), dtype=np.int64) * reach.size
    return {**known, "a": (first, np.minimum(first + reach.size, group.rows) - 1)}


def _end(keep: Predicate, boxes: dict[str, Any], start: Ranks, stop: Ranks, value: int) -> Ranks:
    """As far from keys ``start`` towards ``stop`` as the predicate is decided to be this for all rows of each box, in
    whole lanes."""
    sign: Ranks = np.where(stop > start, LANES, -LANES)
    least, most = np.zeros_like(start), abs(stop - start) // LANES
    first, last = boxes["a"]
    while len(at := np.flatnonzero(least < most)):
        lanes = (least[at] + most[at] + 1) // 2
        begin, end = start[at], start[at] + sign[at] * lanes
        keys = np.minimum(begin, end), np.maximum(begin, end) - 1
        found = decided(keep, {**boxes, "a": (first[at], last[at]), "b": keys}) == value
        least[at], most[at] = np.where(found, lanes, least[at]), np.where(found, most[at], lanes - 1)
    return start + sign * least


def _full(group: Group, size: int, lo: Ranks, hi: Ranks, first: int) -> Iterator[Shape]:
    """Unmasked blocks of evenly growing, or shrinking, width over the groups from ``first``, of which one side stands
    still; a ragged last group stands alone."""
    count = len(hi) - int(hi[-1] == lo[-1])  # what shrinks evenly may end in nothing
    last = first + count - 1
    short = min(size, group.rows - last * size)
    if short < size:
        count -= 1
        yield Tiles(last * size, short, 0, int(lo[count]), int(hi[count] - lo[count]), 0, 1), True
    if count:
        step, growth = (int(lo[1] - lo[0]), int(hi[1] - lo[1] - hi[0] + lo[0])) if count > 1 else (0, 0)
        yield Tiles(first * size, size, size, int(lo[0]), int(hi[0] - lo[0]), step, count, growth), True
