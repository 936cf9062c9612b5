"""grids: the orders in which a window of a grid touches few tiles.

    boxes h x w (d x h x w) of a grid of rows of W (and planes of H rows), when a query's keys are within a few rows of
    its own (and planes), and within a few columns

A box is a tile: a window of 7 x 7 cells around those of an 8 x 16 box meets 3 x 3 boxes, whatever the width of the
grid, where each of its rows would touch tiles of its own in natural order. The boxes of neighbouring rows are no
interval, so that each row difference is a step of a fan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..relations.presburger import IntegerSet
from ..relations.shadow import extent
from .order import Order, grid
from .placement import Placement
from .program import Tile

WIDTHS = (16, 8, 32, 4)
"""Columns of a box that are tried, where they divide a row."""

MOST_ROWS = 64
"""A window of more rows than this is no window."""

LONGEST_ROW = 1 << 16
"""Ranks of a row of boxes, or of a plane of boxes."""


def in_boxes(natural: Placement, tile: Tile, place: Callable[[Order], Placement]) -> Iterator[tuple[Placement, ...]]:
    """The placements of a part in boxes of the grids that it speaks of, given that in natural order."""
    existing = natural.pairs & natural.existing
    moduli = [modulus for modulus in natural.pairs.moduli if modulus <= LONGEST_ROW]
    for width in moduli:
        if width > tile.key and _is_window(existing, width):
            yield from _boxed((width,), natural, tile, place)
        for plane in (other for other in moduli if other > max(width, tile.key) and other % width == 0):
            if _is_window(existing, width, plane):
                yield from _boxed((width, plane), natural, tile, place)


def _is_window(pairs: IntegerSet, width: int, plane: int = 0) -> bool:
    """Whether keys are within a few rows (and planes) of the query, not all in one, and within a part of a row."""
    steps = {"z": plane, "y": width} if plane else {"y": width}
    rows = {name: f"floor(v_b / {step}) - floor(v_a / {step})" for name, step in steps.items()}
    if plane:
        rows["y"] = f"floor((v_b mod {plane}) / {width}) - floor((v_a mod {plane}) / {width})"
    for term in rows.values():
        low, high = extent(pairs.image(("r",), f"v_r = {term}"))
        if low is None or high is None or not 0 < high - low < MOST_ROWS:
            return False
    low, high = extent(pairs.image(("r",), f"v_r = (v_b mod {width}) - (v_a mod {width})"))
    return low is not None and high is not None and max(-low, high) <= width // 4


def _boxed(
    widths: tuple[int, ...], natural: Placement, tile: Tile, place: Callable[[Order], Placement]
) -> Iterator[tuple[Placement, ...]]:
    for side in WIDTHS:
        for box in _boxes(widths, side, tile.query):
            order = grid(widths, box)
            if order.count <= LONGEST_ROW:
                yield (replace(place(order), row=widths[0] // side * tile.query, tokens=natural.pairs),)


def _boxes(widths: tuple[int, ...], side: int, cells: int) -> Iterator[tuple[int, ...]]:
    """The boxes of ``cells`` cells with ``side`` columns, whose sides divide those of the grid."""
    if widths[0] % side or cells % side or side >= cells:
        return
    rest = cells // side
    if len(widths) == 1:
        yield (side, rest)
        return
    height = widths[1] // widths[0]
    yield from ((side, rows, rest // rows) for rows in (2, 4, 8) if rows < rest and height % rows == 0)
