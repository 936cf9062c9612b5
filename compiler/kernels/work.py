"""How much each query tile of a forward kernel sweeps, and whose keys are shared out among several program instances.

A tile that sweeps more than its fair part of all work ends long after the others: the rows of a global token, or all
rows where there are few of them, as in decoding. The choice takes no clock: the same call is always split alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..passes.count import bounds, tile_count
from ..passes.program import Order, Program, Tile

ALL = 1 << 30
"""More tiles than there are."""

LEAST = 2
"""Key tiles that a share has at least: what is shorter costs more to join than it saves."""

MOST_SHARES = 64


@dataclass(frozen=True, slots=True)
class Split:
    """The query tiles ``lo <= I < hi`` of every class have their keys shared out among ``shares`` instances."""

    lo: int = 0
    hi: int = 0
    shares: int = 1


WHOLE = Split()
"""Nothing is shared out."""


def swept_tiles(program: Program, index: int, n: int, nk: int) -> NDArray[np.int64]:
    """[query tiles of class 0]: the key tiles that ``program.forward[index]`` visits for each; diagonals and narrow
    tiles are as many as cost as much. Class 0 is longest."""
    kernel = program.forward[index]
    held = program.queries_held(kernel)
    total, whole = np.zeros(tile_count(kernel.order, 0, n, held), dtype=np.int64), Tile(held, program.tile.key)
    for sweep in kernel.sweeps:
        term = program.terms[sweep.term]
        tile = program.tile_of(sweep)
        columns = tile_count(term.key, term.shift % term.key.classes, nk, tile.key)
        for span in sweep.ranges:
            for low, high in bounds(span, len(total), 0, columns, n, "I", nk).values():
                visited = np.maximum(high - low, 0)
                cost = tile.diagonal if span.diagonal else tile.price / whole.price
                total += np.ceil(visited * cost).astype(np.int64)
    return total


def window(order: Order, held: int, rows: int, offset: int, n: int) -> tuple[int, int]:
    """The query tiles of class 0, of ``held`` ranks, that have a row in q, as a half-open range."""
    begin, end = order.whole(0, min(offset, n)), order.ranks(0, min(offset + rows, n))
    return begin // held, -(-end // held)


def split(work: NDArray[np.int64], first: int, instances: int, processors: int) -> Split:
    """``work``: key tiles of the query tiles from ``first`` on, each of which ``instances`` program instances compute
    (blocks of a tile, classes, sequences, heads) on a device of so many ``processors``."""
    if not len(work):
        return WHOLE
    fair = max(float(work.sum()) * instances / processors, LEAST)
    longest = int(work.max())
    shares = min(MOST_SHARES, int(longest // fair))
    if shares < 2:
        return WHOLE
    heavy = work >= 2 * fair
    at = int(work.argmax())
    lo, hi = at, at + 1
    while lo > 0 and heavy[lo - 1]:
        lo -= 1
    while hi < len(work) and heavy[hi]:
        hi += 1
    return Split(0, ALL, shares) if hi - lo == len(work) else Split(first + lo, first + hi, shares)
