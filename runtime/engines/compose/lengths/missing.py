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
from ..plan.tiles import Mask, Tiles, cut_off
from .left import within
from .ranks import Ranks


def of_tokens(block: Block, query: Ranks, key: Ranks) -> Iterator[Block]:
    """The batch in runs of tiles that miss the same keys, without those that miss all, or all queries."""
    tiles = block.tiles
    if not (query.roomy or key.roomy):
        yield block
        return
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
    edges = [0, *_breaks(rows, keys), last.count]
    if whole:
        if rows[0].all() and keys[0].all():  # as all before them
            edges[0] = -whole
        else:
            yield replace(block, tiles=tiles.part(0, whole))
    for first, stop in pairwise(edges):
        run, own, some = tiles.part(whole + first, stop - first), keys[stop - 1], np.count_nonzero(rows[stop - 1])
        if some == run.rows and np.count_nonzero(own) == run.keys:
            yield replace(block, tiles=run)
        elif some and np.count_nonzero(own):
            used = rows[stop - 1] if stop - first == 1 else np.logical_or.reduce(rows[first:stop])
            yield from _masked(block, run, used, own)


def _breaks(rows: Mask, keys: Mask) -> list[int]:
    """Where the tile before misses other keys, or only one of both all queries, or none."""
    if len(rows) == 1:
        return []
    look = np.column_stack([rows.all(axis=1), rows.any(axis=1), keys])
    found: list[int] = (np.flatnonzero((look[1:] != look[:-1]).any(axis=1)) + 1).tolist()
    return found


def _masked(block: Block, tiles: Tiles, rows: Mask, keys: Mask) -> Iterator[Block]:
    """Some tiles of the batch without these keys, and from the first of these rows to the last."""
    kept = _kept(block) & keys
    if not rows.all():
        there = np.flatnonzero(rows)
        top, bottom = int(there[0]), int(there[-1]) + 1
        tiles, kept = tiles.inner(top, bottom - top, 0, tiles.keys), kept[top:bottom]
    if (found := cut_off(tiles, kept)) is not None:
        yield Block(block.first_class, block.key_class, block.classes, *found)


def _kept(block: Block) -> Mask:
    """The pairs of each of its tiles."""
    shape = block.tiles.rows, block.tiles.keys
    if block.triangle:
        return np.tri(*shape, dtype=np.bool_)
    return np.ones(shape, dtype=np.bool_) if block.mask is None else block.mask
