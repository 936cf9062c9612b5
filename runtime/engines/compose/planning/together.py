"""Blocks of a term that look alike and are evenly spaced, as one batch.

That tiles share a mask is proved of long runs. Near a border, where they are looked at one by one, it is not: what a
place decides is gone from what is said of it, each time something else. There the masks themselves are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..plan.block import Block
from ..plan.tiles import Tiles

LARGEST = 1 << 16
"""Pairs of a mask that is compared with others: larger ones are few, and take long."""

MOST_ADDED = 8
"""Gradients of keys that tiles share are added up in slices as long as these are apart: in so many, at most."""


def together(blocks: Iterable[Block]) -> list[Block]:
    """The same pairs, each once; a batch of several is where the first of them was."""
    found: list[Block] = []
    last: dict[object, int] = {}  # by its look, where the run is that may go on
    for block in blocks:
        look = _look(block)
        at = last.get(look) if look is not None else None
        if at is not None and (tiles := _followed(found[at].tiles, block.tiles)) is not None:
            found[at] = replace(found[at], tiles=tiles)
            continue
        if look is not None:
            last[look] = len(found)
        found.append(block)
    return found


def _look(block: Block) -> object | None:
    """What blocks of one batch have in common; None where it is not looked at."""
    mask = block.mask
    if block.tiles.growth or (mask is not None and mask.size > LARGEST):
        return None
    tiles, classes = block.tiles, (block.first_class, block.key_class, block.classes)
    return classes, tiles.rows, tiles.keys, block.triangle, None if mask is None else mask.tobytes()


def _followed(one: Tiles, two: Tiles) -> Tiles | None:
    """Both as one; None where they are not evenly spaced, have rows in common or most keys, or keys go back."""
    last = one.count - 1
    steps = two.row - one.row - last * one.row_step, two.key - one.key - last * one.key_step
    even = all(each.count == 1 or (each.row_step, each.key_step) == steps for each in (one, two))
    if not even or steps[0] < one.rows or steps[1] < 0 or 0 < steps[1] * MOST_ADDED < one.keys:
        return None
    return replace(one, row_step=steps[0], key_step=steps[1], count=one.count + two.count)
