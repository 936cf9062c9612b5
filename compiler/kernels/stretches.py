"""What the tiles of a kernel sweep, as fast for many tiles as for few: of most stretches of tiles it grows evenly, so
that what those at both ends sweep is what all sweep. Where that is not proved, shorter stretches are looked at, and at
last the tiles themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lcm
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Counted: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_]]

Count: TypeAlias = Callable[[NDArray[np.int32], int], Counted]
"""What tiles sweep. Of single tiles [1, tiles], with 0; or of stretches, of which so many steps lead from the first to
the last tile [2, stretches]: with them, which stretches are proved to grow evenly."""

FEW, FEW_OF_FANS = 8192, 512
"""So many tiles are counted one by one; of a fan each has many steps."""

PARTS = 32
"""Into how many parts tiles are cut, and a part again."""

LONGEST_PERIOD = 64


def period_of(periods: frozenset[int]) -> int:
    """After so many tiles, what is divided by as many of these as possible begins anew; what is divided by more stays
    for long."""
    found = 1
    for each in sorted(periods):
        if lcm(found, each) <= LONGEST_PERIOD:
            found = lcm(found, each)
    return found


def counted(count: Count, tiles: int, period: int, few: int) -> NDArray[np.int64]:
    """Of tiles 0..tiles-1. In a stretch each tile is ``period`` after the one before; ``few`` are counted one by
    one."""
    total = np.empty(tiles, dtype=np.int64)
    left: NDArray[np.int32] = np.zeros(1, dtype=np.int32)  # where parts of ``size`` begin that are not counted yet
    size = tiles
    rest: list[NDArray[np.int32]] = []
    while len(left) * size > few and (length := size // PARTS // period) >= 4:
        part = length * period
        starts = left[:, None] + part * np.arange(size // part, dtype=np.int32)
        rest.append((left[:, None] + np.arange(starts.shape[1] * part, size, dtype=np.int32)).ravel())
        left, size = _fill(count, total, starts.ravel(), length, period), part
    single = np.concatenate([*rest, (left[:, None] + np.arange(size, dtype=np.int32)).ravel()])
    if len(single):
        total[single] = count(single[None, :], 0)[0][0]
    return total


def _fill(
    count: Count, total: NDArray[np.int64], starts: NDArray[np.int32], length: int, period: int
) -> NDArray[np.int32]:
    """Count parts of ``length * period`` tiles from each of ``starts``; return which were not."""
    first = (starts[:, None] + np.arange(period, dtype=np.int32)).ravel()
    (begin, end), proved = count(np.stack([first, first + (length - 1) * period]), length - 1)
    even = proved.reshape(-1, period).all(axis=1)
    begin, end = begin.reshape(-1, 1, period)[even], end.reshape(-1, 1, period)[even]
    each = np.broadcast_to(begin, (len(begin), length, period))
    if (begin != end).any():
        each = begin + (end - begin) // (length - 1) * np.arange(length)[:, None]
    part = length * period
    if even.all() and (np.diff(starts) == part).all():
        total[starts[0] : starts[0] + len(starts) * part] = each.ravel()
    else:
        total[starts[even][:, None] + np.arange(part)] = each.reshape(-1, part)
    return starts[~even]
