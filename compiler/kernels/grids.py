"""How many program instances a launch has, and the order in which they start."""

from __future__ import annotations

from math import gcd

from ..passes.program import Order


def turn(bundles: int, blocks: int, processors: int) -> int:
    """How many heads take turns in the order in which instances start (runtime/engines/triton/places.py). Where the
    blocks of one do not occupy the device, two to a processor, the longest of several start before its shorter ones, so
    that no long one is left for the end. Elsewhere the less is under way at once, the more of it stays in the cache."""
    return gcd(bundles, 8) if blocks < 2 * processors else 1


def query_blocks(order: Order, block: int, rows: int, offset: int, n: int, *, packed: bool = False) -> int:
    """Axis 0 of a grid over query blocks: classes x an upper bound of the blocks of a class that have a row in q. Of
    fewer rows than residues each is of another class, and so of one block; not where they are the rows of one of the
    ``packed`` documents, since a kernel only knows how many all of these have.

    Without an offset a window starts at rank 0. Elsewhere it starts anywhere, so that it may touch one block more.
    """
    length = min(rows, n)
    classes = min(order.classes, rows) if order.residues and not packed else order.classes
    if offset == 0:
        return classes * -(-order.ranks(0, length) // block)
    if order.tiled:  # Ranks of all periods that the window touches.
        return classes * -(-order.count * (-(-length // order.period) + 1) // block)
    held = min(length, order.count * -(-length // order.period))
    return classes * (-(-(held - 1) // block) + 1) if held else 0


def key_blocks(order: Order, block: int, n: int) -> int:
    """Axis 0 of a grid over key blocks."""
    return order.classes * -(-order.ranks(0, n) // block)
