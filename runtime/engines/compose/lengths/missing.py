"""What is left of a batch where tokens are missing among the last ranks of a tiled order.

Keys without a token are masked, beside what a batch masks already. Queries without one are computed in vain where they
are between others, and go nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..plan.block import Block
from ..plan.tiles import Mask, cut_off
from .left import within
from .ranks import Ranks


def of_tokens(block: Block, query: Ranks, key: Ranks) -> Iterator[Block]:
    """The batch in runs of tiles that miss the same keys, without those that miss all, or all queries."""
    tiles = block.tiles
    whole = within(tiles.row + tiles.rows, tiles.row_step, query.whole(block.first_class), tiles.count)
    whole = within(tiles.key + tiles.keys, tiles.key_step + tiles.growth, key.whole(block.key_class), whole)
    if whole == tiles.count:
        yield block
    elif tiles.growth:
        for even in block.even():
            yield from of_tokens(even, query, key)
    else:
        yield from _among_last(block, whole, query, key)


def _among_last(block: Block, whole: int, query: Ranks, key: Ranks) -> Iterator[Block]:
    """Of a batch of which the first ``whole`` tiles are all there."""
    tiles, last = block.tiles, block.tiles.part(whole, block.tiles.count - whole)
    rows = query.there(last.row, last.rows, last.row_step, last.count)
    keys = key.there(last.key, last.keys, last.key_step, last.count)
    look = np.column_stack([rows.all(axis=1), rows.any(axis=1), keys])
    edges = [0, *(np.flatnonzero((look[1:] != look[:-1]).any(axis=1)) + 1).tolist(), last.count]
    if whole:
        if look[0].all():  # as all before them
            edges[0] = -whole
        else:
            yield replace(block, tiles=tiles.part(0, whole))
    for first, stop in pairwise(edges):
        run = replace(block, tiles=tiles.part(whole + first, stop - first))
        if look[stop - 1].all():
            yield run
        elif look[stop - 1, 1]:
            yield from _masked(run, np.logical_or.reduce(rows[max(first, 0) : stop]), keys[stop - 1])


def _masked(block: Block, rows: Mask, keys: Mask) -> Iterator[Block]:
    """The batch without these keys, and from the first of these rows to the last."""
    there = np.flatnonzero(rows)
    top, bottom = int(there[0]), int(there[-1]) + 1
    tiles, kept = block.tiles.inner(top, bottom - top, 0, block.tiles.keys), _kept(block)[top:bottom] & keys
    if (found := cut_off(tiles, kept)) is not None:
        yield replace(block, tiles=found[0], mask=found[1], triangle=False)


def _kept(block: Block) -> Mask:
    """The pairs of each of its tiles."""
    shape = block.tiles.rows, block.tiles.keys
    if block.triangle:
        return np.tri(*shape, dtype=np.bool_)
    return np.ones(shape, dtype=np.bool_) if block.mask is None else block.mask
