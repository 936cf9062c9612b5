"""A whole sequence as strips: so many queries in a row, against the keys that any of them attends to, in one softmax.

Nothing is merged, whatever the pattern: where arranged terms are many or short, that is faster, although more scores
are computed. The keys of a strip are a run of the sequence, or gathered. Neighbouring strips that look alike are one
batch; where the pattern is the whole triangle or square at this length, so is the strip, and nothing is masked at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...compiler.passes.program import NATURAL
from .blocks import Block
from .machine import Effort
from .masks import Mask, Tiles
from .price import Price
from .stages import Batch, Biases, Stage
from .views import Gathered, Side

SIZES = (64, 128, 192, 256, 512, 768)
"""Queries of a strip: of these, and of all queries in one, the cheapest is taken."""


@dataclass(frozen=True, slots=True)
class Strip:
    """``tiles`` of natural ranks; with ``index``, their keys are those tokens. ``mask`` [rows, keys]; None: all."""

    tiles: Tiles
    index: NDArray[np.int64] | None
    mask: Mask | None
    triangle: bool = False


def strips(pairs: Mask, price: Price, biases: Biases) -> tuple[tuple[Stage, ...], Effort]:
    """The stages for the pairs [n, nk] of whole sequences, and what they ask for."""
    queries, keys = (Side(NATURAL, length) for length in pairs.shape)
    stages, efforts = [], []
    for strip in _whole(pairs) or _joined(_cut(pairs, _size(pairs, price), price)):
        block = Block(0, 0, 1, strip.tiles, strip.mask, strip.triangle)
        key = keys if strip.index is None else Gathered(torch.from_numpy(strip.index))
        stages.append(Stage(queries, key, (Batch(block, True, biases.of(strip.mask)),)))
        efforts += [price.block(block, fresh=True), _taken(strip, price)]
    return tuple(stages), Effort.total(efforts)


def _whole(pairs: Mask) -> list[Strip] | None:
    """One block for all, where the pattern is every pair or every earlier one."""
    n, nk = pairs.shape
    alone = Tiles(0, n, 0, 0, nk, 0, 1)
    if pairs.all():
        return [Strip(alone, None, None)]
    if np.array_equal(pairs, np.tri(n, dtype=np.bool_)):
        return [Strip(alone, None, None, triangle=True)]
    return None


def _size(pairs: Mask, price: Price) -> int:
    """The size of strips that is predicted to be fastest, as if every strip had a mask."""
    n = len(pairs)
    used = _united(pairs, SIZES[0])
    best, least = n, float("inf")
    for size in (*(size for size in SIZES if size < n), n):
        strip = Tiles(0, min(size, n), 0, 0, 0, 0, 1)
        columns = map(np.flatnonzero, _united(used, -(-size // SIZES[0])))
        seconds = price.seconds(Effort.total(_keys(keys, strip, price)[1] for keys in columns if len(keys)))
        if seconds < least:
            best, least = size, seconds
    return best


def _united(table: Mask, size: int) -> Mask:
    """For each ``size`` rows, the columns that any of them has."""
    bits = table.view(np.uint8)  # of which numpy is quick to take the union
    unions = [np.bitwise_or.reduce(bits[row : row + size]) for row in range(0, len(bits), size)]
    return np.stack(unions).view(np.bool_)


def _keys(columns: NDArray[np.int64], strip: Tiles, price: Price) -> tuple[bool, Effort]:
    """Whether to gather these keys for the queries of a strip, rather than to take the run that holds them."""
    run = replace(strip, key=int(columns[0]), keys=int(columns[-1]) + 1 - int(columns[0]))
    in_run = price.tiles(run, masked=True, fresh=True)
    if run.keys == len(columns):
        return False, in_run
    few = price.tiles(replace(strip, keys=len(columns)), masked=True, fresh=True)
    gathered = Effort.total([few, price.gathered(0, len(columns))])
    return (True, gathered) if price.seconds(gathered) < price.seconds(in_run) else (False, in_run)


def _cut(pairs: Mask, size: int, price: Price) -> Iterator[Strip]:
    for row in range(0, len(pairs), size):
        part = pairs[row : row + size]
        columns = np.flatnonzero(_united(part, size)[0])
        if not len(columns):
            continue
        alone = Tiles(row, len(part), 0, int(columns[0]), int(columns[-1]) + 1 - int(columns[0]), 0, 1)
        gather, _ = _keys(columns, alone, price)
        mask = np.ascontiguousarray(part[:, columns] if gather else part[:, alone.key : alone.key + alone.keys])
        tiles = replace(alone, key=0, keys=len(columns)) if gather else alone
        yield Strip(tiles, columns if gather else None, None if mask.all() else mask)


def _joined(found: Iterator[Strip]) -> Iterator[Strip]:
    """Evenly advancing strips with equal masks as one."""
    pending: Strip | None = None
    for strip in found:
        longer = None if pending is None else _followed(pending, strip)
        if pending is not None and longer is None:
            yield pending
        pending = longer or strip
    if pending is not None:
        yield pending


def _followed(strip: Strip, other: Strip) -> Strip | None:
    """Both as one batch; None where they do not fit."""
    one, two = strip.tiles, other.tiles
    steps = two.row - one.part(one.count - 1, 1).row, two.key - one.part(one.count - 1, 1).key
    even = one.count == 1 or steps == (one.row_step, one.key_step)
    alike = (one.rows, one.keys) == (two.rows, two.keys) and strip.index is None and other.index is None
    if not (even and alike and steps[1] >= 0 and _equal(strip.mask, other.mask)):
        return None
    return replace(strip, tiles=replace(one, row_step=steps[0], key_step=steps[1], count=one.count + 1))


def _equal(one: Mask | None, two: Mask | None) -> bool:
    return one is two or (one is not None and two is not None and np.array_equal(one, two))


def _taken(strip: Strip, price: Price) -> Effort:
    return Effort() if strip.index is None else price.gathered(0, len(strip.index))
