"""A whole sequence as strips: so many queries in a row, against the keys that any of them attends to.

Little is merged, whatever the pattern: where arranged terms are many or short, that is faster, although more scores are
computed. Rows are those of the sequence, or of an order of the program in which the queries of a class read the same
keys. Neighbouring strips that look alike are one batch. Where the pattern is the whole triangle or square at this
length, one strip of all queries needs no mask at all, and is dense attention itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from .....compiler.passes.program import NATURAL, Order
from ..plan.block import Block
from ..plan.effort import Effort
from ..plan.place import Gathered, Side
from ..plan.stage import Biases, Stage, Stages
from ..plan.tiles import Mask, Tiles, equal
from ..pricing.price import Price
from .cuts import Columns, Reached, cuts, mask_of

SIZES = (32, 64, 128, 192, 256, 512, 768)
"""Queries of a strip: of these, and of all queries of a class in one, the cheapest is taken."""

CERTAIN = 0.9
"""A single kernel call is taken unless another way is predicted to take less than this part of its time: what the
difference would be is less certain than that."""


@dataclass(frozen=True, slots=True)
class Strip:
    """``tiles`` of ranks of a class of queries; with ``index``, their keys are those tokens. ``mask`` [rows, keys];
    None: all."""

    cls: int
    tiles: Tiles
    index: Columns | None
    mask: Mask | None
    triangle: bool = False
    fresh: bool = True

    @property
    def block(self) -> Block:
        return Block(self.cls, 0, 1, self.tiles, self.mask, self.triangle)


def strips(pairs: Mask, orders: Iterable[Order], price: Price, biases: Biases) -> tuple[Stages, Effort]:
    """The stages for the pairs [n, nk] of whole sequences, and what they ask for; rows as they are, or in one of the
    ``orders``, which cover all queries."""
    n, nk = pairs.shape
    order, found, effort = _chosen(pairs, orders, price)
    queries, keys = Side(order, n), Side(NATURAL, nk)
    stages = []
    for strip in found:
        key = keys if strip.index is None else Gathered(torch.from_numpy(strip.index))
        stages.append(Stage(queries, key, (biases.batch(strip.block, fresh=strip.fresh),)))
    return tuple(stages), effort


def _chosen(pairs: Mask, orders: Iterable[Order], price: Price) -> tuple[Order, list[Strip], Effort]:
    """The cheapest: strips of one size; the same below a triangle of the first queries; or one strip of all."""
    n, nk = pairs.shape
    order, size = _cheapest(pairs, (NATURAL, *orders), price)
    found = [(order, list(_joined(_cut(pairs, order, size, price))))]
    first = _triangle(pairs)
    if SIZES[0] <= first < n:
        _, size = _cheapest(pairs[first:], (NATURAL,), price)
        below = _joined(_cut(pairs, NATURAL, size, price, first))
        found.append((NATURAL, [Strip(0, Tiles(0, first, 0, 0, first, 0, 1), None, None, triangle=True), *below]))
    priced = [(*each, _effort(each[1], price)) for each in found]
    best = min(priced, key=lambda each: price.seconds(each[2]))
    if first == n == nk or pairs.all():
        whole = Strip(0, Tiles(0, n, 0, 0, nk, 0, 1), None, None, triangle=not pairs.all())
        effort = _effort([whole], price)
        if price.seconds(best[2]) > CERTAIN * price.seconds(effort):
            return NATURAL, [whole], effort
    return best


def _triangle(pairs: Mask) -> int:
    """How many of the first queries attend to every earlier key and themselves, and to nothing else."""
    n, nk = pairs.shape
    differs = np.flatnonzero((pairs != np.tri(n, nk, dtype=np.bool_)).any(axis=1))
    return int(differs[0]) if len(differs) else n


def _effort(found: Sequence[Strip], price: Price) -> Effort:
    gathered = (price.taken_again(len(strip.index)) for strip in found if strip.index is not None)
    return Effort.total([*(price.block(strip.block, fresh=strip.fresh) for strip in found), *gathered])


def _cheapest(pairs: Mask, orders: Iterable[Order], price: Price) -> tuple[Order, int]:
    """The order and the size of strips that are predicted to be fastest, as if none were alike."""
    best, least = (NATURAL, len(pairs)), float("inf")
    for order in orders:
        smallest = [Reached.of(rows, SIZES[0]) for rows in _classes(pairs, order)]
        longest = max(reached.rows for reached in smallest)
        for size in (*(size for size in SIZES if size < longest), -(-longest // SIZES[0]) * SIZES[0]):
            each = (strip for reached in smallest for strip in reached.together(size).strips())
            seconds = price.seconds(Effort.total(cuts(*strip[1:], pairs.shape[1], price)[1] for strip in each))
            if seconds < least:
                best, least = (order, size), seconds
    return best


def _classes(pairs: Mask, order: Order) -> Iterator[Mask]:
    """The rows of each class of an order, by rank."""
    return (pairs[cls :: order.classes] for cls in range(order.classes))


def _cut(pairs: Mask, order: Order, size: int, price: Price, start: int = 0) -> Iterator[Strip]:
    """Strips of the queries from rank ``start`` of each class."""
    for cls, every_row in enumerate(_classes(pairs, order)):
        rows = every_row[start:]
        for first, count, some, every in Reached.of(rows, size).strips():
            for cut in cuts(count, some, every, pairs.shape[1], price)[0]:
                key = cut.run.start if cut.columns is None else 0
                tiles = Tiles(start + first, count, 0, key, cut.keys, 0, 1)
                mask = mask_of(rows[first : first + count], cut, every)
                yield Strip(cls, tiles, cut.columns, mask, fresh=cut.fresh)


def _joined(found: Iterable[Strip]) -> Iterator[Strip]:
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
    placed = strip.index is None and other.index is None and (strip.cls, strip.fresh) == (other.cls, other.fresh)
    alike = placed and (one.rows, one.keys) == (two.rows, two.keys) and equal(strip.mask, other.mask)
    if not (even and alike and steps[0] > 0 and steps[1] >= 0):
        return None
    return replace(strip, tiles=replace(one, row_step=steps[0], key_step=steps[1], count=one.count + 1))
