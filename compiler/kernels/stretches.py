"""What the tiles of a kernel sweep, as fast for many tiles as for few: of most stretches of tiles it grows evenly, so
that what those at both ends sweep is what all sweep. Where that is not proved, shorter stretches are looked at, and at
last the tiles themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import lcm
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..relations.tape import Gaps

Counted: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_]]

Count: TypeAlias = Callable[[NDArray[np.int32], Gaps], Counted]
"""What tiles sweep. Of single tiles [1, tiles], or of the first and the last of stretches [2, stretches]: with these,
which are proved to grow evenly."""

FEW, FEW_OF_FANS = 4096, 256
"""So many tiles are counted one by one; of a fan each has many steps."""

NEAREST, FARTHER = 2, 16
"""What tiles sweep differs most near the first and the last of all: cuts are so many periods from these, and so many
times as far as the cut before."""

PARTS = 32
"""Into how many parts a stretch is cut that does not grow evenly."""

SHORT = 4
"""A stretch of fewer periods is not asked about: its ends are about as many tiles as it has."""

LONGEST_PERIOD = 256


def period_of(periods: frozenset[int]) -> int:
    """After so many tiles, what is divided by as many of these as possible begins anew; what is divided by more stays
    for long."""
    found = 1
    for each in sorted(periods):
        if lcm(found, each) <= LONGEST_PERIOD:
            found = lcm(found, each)
    return found


def counted(count: Count, tiles: int, period: int, few: int) -> NDArray[np.int64]:
    """Of tiles 0..tiles-1. A stretch has whole periods, and each tile of one is compared with those of the others at
    its place; ``few`` tiles are counted one by one."""
    total, alone = np.empty(tiles, dtype=np.int64), np.ones(tiles, dtype=np.bool_)
    left = _from_the_ends(tiles // period) if tiles > few else []
    while sum(map(len, left)) * period > few:
        long = [stretch for stretch in left if len(stretch) >= SHORT]
        left = [part for stretch in _uneven(count, total, alone, long, period) for part in _parts(stretch)]
    single = np.flatnonzero(alone).astype(np.int32)
    if len(single):
        total[single] = count(single[None, :], None)[0][0]
    return total


def _from_the_ends(periods: int) -> list[range]:
    """All periods, cut near both ends."""
    cuts, at = {0, periods}, NEAREST
    while at == NEAREST or at * FARTHER <= periods:
        cuts |= {min(at, periods), max(periods - at, 0)}
        at *= FARTHER
    return [range(start, stop) for start, stop in pairwise(sorted(cuts))]


def _parts(stretch: range) -> list[range]:
    cuts = {stretch.start + len(stretch) * part // PARTS for part in range(PARTS + 1)}
    return [range(start, stop) for start, stop in pairwise(sorted(cuts))]


def _uneven(
    count: Count, total: NDArray[np.int64], alone: NDArray[np.bool_], stretches: list[range], period: int
) -> list[range]:
    """Those that are not proved to grow evenly; of the others, ``total`` gains what each tile sweeps, and none is
    counted ``alone``."""
    if not stretches:
        return []
    first = np.array([each.start for each in stretches])[:, None] * period + np.arange(period)
    gaps = np.repeat([len(each) - 1 for each in stretches], period)
    (begin, end), proved = count(np.stack([first.ravel(), first.ravel() + gaps * period]).astype(np.int32), gaps)
    grown, begin = ((end - begin) // gaps).reshape(first.shape), begin.reshape(first.shape)
    even = {*np.flatnonzero(proved.reshape(first.shape).all(axis=1)).tolist()}
    for at in even:
        tiles = slice(stretches[at].start * period, stretches[at].stop * period)
        alone[tiles], swept = False, total[tiles].reshape(-1, period)
        swept[:] = begin[at]
        if grown[at].any():
            swept += grown[at] * np.arange(len(swept))[:, None]
    return [stretch for at, stretch in enumerate(stretches) if at not in even]
