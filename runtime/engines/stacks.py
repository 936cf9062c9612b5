"""A stack: groups of tiles, of which the keys that all of a group sees in full are one block without a mask.

What is left on either side is a band over the groups.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...compiler.relations.affine import Box, restrict
from ...compiler.relations.integer import FALSE, TRUE, Predicate
from .masks import LANES, Tiles
from .shapes import Group, Ranks, Reach, Shape, band, coarser, even_runs

FEWEST_STACKS, MOST_TILES_PER_STACK = 16, 32
"""Few groups waste less at the edge of a growing range; the second bounds the mask of that edge."""


def stack(reach: Reach, group: Group, keep: Predicate, known: Box) -> list[Shape] | None:
    """Groups of tiles; nothing where no key range has a full part. ``keep`` holds of the pairs."""
    if not (reach.full_hi > reach.full_lo).any():
        return None
    per = min(-(-len(reach.lo) // FEWEST_STACKS), MOST_TILES_PER_STACK)
    far = _sharper(coarser(reach, per), group, keep, known)
    size, lo, hi, full_lo, full_hi = far.size, far.lo, far.hi, far.full_lo, far.full_hi
    shape: list[Shape] = []
    for first, count in even_runs(full_lo, full_hi, growing=True):
        shape += _full(group, size, int(full_lo[first]), full_hi[first : first + count], first)
    for edge_lo, edge_hi in ((lo, full_lo), (full_hi, hi)):
        edge = Reach(size, edge_lo, edge_hi, edge_lo, edge_lo)
        for first, count in even_runs(edge_lo, edge_hi):
            shape += [(tiles, False, 0) for tiles in band(edge, group, first, count, 1)]
    return shape


def _sharper(reach: Reach, group: Group, keep: Predicate, known: Box) -> Reach:
    """What is reached, and seen in full, told in lanes of keys where it was in tiles."""
    ends = np.stack([reach.lo, reach.hi, reach.full_lo, reach.full_hi])
    for number, (lo, hi, full_lo, full_hi) in enumerate(ends.T.tolist()):
        last = min((number + 1) * reach.size, group.rows) - 1
        box = {**known, "a": (number * reach.size, last), "b": (lo, max(lo, hi - 1))}
        inside = restrict(keep, box)
        lo = _end(inside, box, lo, full_lo, FALSE)
        hi = _end(inside, box, hi, max(full_hi, lo), FALSE)
        if full_hi == full_lo:
            full_lo = full_hi = lo
        full_lo = _end(inside, box, full_lo, lo, TRUE)
        ends[:, number] = lo, hi, full_lo, _end(inside, box, full_hi, hi, TRUE)
    return Reach(reach.size, ends[0], ends[1], ends[2], ends[3], reach.visited)


def _end(keep: Predicate, box: Box, start: int, stop: int, value: Predicate) -> int:
    """As far from key ``start`` towards ``stop`` as the predicate is this for all rows of the box, in whole lanes."""
    least, most, sign = 0, abs(stop - start) // LANES, 1 if stop > start else -1
    while least < most:
        lanes = (least + most + 1) // 2
        first, last = sorted((start, start + sign * lanes * LANES))
        if restrict(keep, {**box, "b": (first, last - 1)}) == value:
            least = lanes
        else:
            most = lanes - 1
    return start + sign * least * LANES


def _full(group: Group, size: int, lo: int, hi: Ranks, first: int) -> Iterator[Shape]:
    """Unmasked blocks of evenly growing width over the groups from ``first``; a ragged last group stands alone."""
    count, last = len(hi), first + len(hi) - 1
    short = min(size, group.rows - last * size)
    if short < size:
        if hi[-1] > lo:
            yield Tiles(last * size, short, 0, lo, int(hi[-1]) - lo, 0, 1), True, 0
        count -= 1
    if count:
        growth = int(hi[1] - hi[0]) if count > 1 else 0
        yield Tiles(first * size, size, size, lo, int(hi[0]) - lo, 0, count), True, growth
