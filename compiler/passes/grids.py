"""grids: the orders in which a window of a grid touches few tiles.

    boxes h x w (d x h x w) of a grid of rows of W (and planes of H rows), when a query's keys are within a few rows of
    its own (and planes), and within a few columns

A box is a tile: a window of 7 x 7 cells around those of an 8 x 16 box meets 3 x 3 boxes, whatever the width of the
grid, where each of its rows would touch tiles of its own in natural order. The boxes of neighbouring rows are no
interval, so that each row difference is a step of a fan.

    h x w / h x w from s, h/2 x 2w from s
                          when the keys of a box of h rows are in h k + r of them, r <= h/2: boxes of keys begin s rows
                          down, with the first of these, so that they fill k rows of boxes, and the rest flat ones

The keys of a box of 4 rows and a window of 7 are in 10 rows, and meet 12 in boxes of 4 that begin with the grid. In
those that begin a row further down they fill two, and the first half of a third. Keys of the first s rows are left to
boxes that begin with the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from ..relations.isl.context import BudgetExceeded, budget, quote
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import LENGTHS
from ..relations.shadow import extent
from .order import Order, flattened, grid
from .placement import SPACE, Placement
from .program import Tile

Place: TypeAlias = Callable[[IntegerSet, Order, Order], Placement]
"""Some pairs, in natural order over SPACE, in an order of queries and one of keys."""

WIDTHS = (16, 8, 32, 4)
"""Columns of a box that are tried, where they divide a row."""

MOST_ROWS = 64
"""A window of more rows than this is no window."""

LONGEST_ROW = 1 << 16
"""Ranks of a row of boxes, or of a plane of boxes."""

_OPERATIONS = 20_000
"""For the rows of the keys of a box."""


def in_boxes(natural: Placement, tile: Tile, place: Place) -> Iterator[tuple[Placement, ...]]:
    """The placements of a part in boxes of the grids that it speaks of, given that in natural order."""
    moduli = [modulus for modulus in natural.pairs.moduli if modulus <= LONGEST_ROW]
    for width in moduli:
        if width > tile.key and _is_window(natural.present, width):
            yield from _boxed((width,), natural, tile, place)
        for plane in (other for other in moduli if other > max(width, tile.key) and other % width == 0):
            if _is_window(natural.present, width, plane):
                yield from _boxed((width, plane), natural, tile, place)


@lru_cache(maxsize=256)  # asked for each tile that is tried
def _is_window(pairs: IntegerSet, width: int, plane: int = 0) -> bool:
    """Whether keys are within a few rows (and planes) of the query, not all in one, and within a part of a row."""
    rows = [f"floor(v_b / {plane or width}) - floor(v_a / {plane or width})"]
    if plane:
        rows.append(f"floor((v_b mod {plane}) / {width}) - floor((v_a mod {plane}) / {width})")
    found = _extent(pairs, f"(v_b mod {width}) - (v_a mod {width})", 2 * (width // 4))
    if found is None or max(-found[0], found[1]) > width // 4:
        return False
    return all((found := _extent(pairs, term, MOST_ROWS - 1)) is not None and found[0] < found[1] for term in rows)


def _extent(pairs: IntegerSet, term: str, most: int) -> tuple[int, int] | None:
    """Bounds of a term over pairs, at any length; None as soon as some are farther apart than ``most``."""
    lows, highs = list[int](), list[int]()
    for piece in pairs.image(("r",), f"v_r = {term}").disjuncts():
        low, high = extent(piece)
        if low is None or high is None:
            return None
        lows.append(low)
        highs.append(high)
        if max(highs) - min(lows) > most:
            return None
    return min(lows), max(highs)


def _boxed(widths: tuple[int, ...], natural: Placement, tile: Tile, place: Place) -> Iterator[tuple[Placement, ...]]:
    for side in WIDTHS:
        for box in _boxes(widths, side, tile.query):
            order = grid(widths, box)
            if order.count <= LONGEST_ROW:
                row = widths[0] // side * tile.query
                yield (replace(place(natural.pairs, order, order), row=row),)
                if len(widths) == 1 and tile.query == tile.key:
                    yield from _displaced(natural, order, row, place)


def _displaced(natural: Placement, order: Order, row: int, place: Place) -> Iterator[tuple[Placement, ...]]:
    """The placements in boxes of keys that begin with the keys of a box of queries, where they fill these better."""
    _, (height, width), (across, _) = order.digits
    reach = _rows_of_keys(natural, height, width)
    if reach is None or height % 2 or across % 2:
        return
    first, last = reach
    whole, rest = divmod(last - first + 1, height)
    if not 0 < rest <= height // 2:
        return
    start = first % height * width
    begun = replace(order, start=start)
    step = f"floor((v_b - {start}) / {order.period}) - floor(v_a / {order.period})"
    beyond = f"v_b >= {start} and {step} = {whole + first // height}"
    choices = [(begun, f"v_b >= {start} and {step} != {whole + first // height}"), (flattened(begun), beyond)]
    choices += [(order, f"v_b < {start}")] if start else []
    placed = (place(natural.pairs & IntegerSet.parse(SPACE, which), order, key) for key, which in choices)
    yield tuple(replace(one, row=row) for one in placed if not one.pairs.empty)


def _rows_of_keys(natural: Placement, height: int, width: int) -> tuple[int, int] | None:
    """The first and the last row of the keys of ``height`` rows of queries, counted from the first of these, far from
    where a sequence begins and ends: at a border a window may be shifted. None where it has none, or they are hard to
    find."""
    far = 4 * MOST_ROWS * height
    there = " and ".join(f"{quote(length)} = {2 * far * width}" for length in natural.lengths)
    within = f"{far * width} <= v_a < {(far + height) * width} and v_b < {2 * far * width} and {there}"
    try:
        with budget(_OPERATIONS):
            pairs = natural.pairs & IntegerSet.parse(SPACE, within, natural.lengths)
            rows = pairs.for_some(*LENGTHS).image(("r",), f"v_r = floor(v_b / {width}) - {far}")
            low, high = (None, None) if rows.empty else extent(rows)
    except BudgetExceeded:
        return None
    return None if low is None or high is None else (low, high)


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
