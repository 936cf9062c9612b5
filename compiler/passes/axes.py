"""axes: the boxes that a window of a grid touches, along rows and along columns, each by itself.

Boxes are touched in a rectangle: rows of boxes that depend on the row of the stationary box alone, and columns that
depend on its column. Where a window is shifted inwards at the borders of a grid it is many pieces, whose outline
(``outline.py``) sees one row of boxes run into the next; seen along an axis it is an interval. The rectangle is a hull:
of a window with cut corners it holds more than there is.
"""

from __future__ import annotations

from ..relations.context import BudgetExceeded, budget, quote
from ..relations.integer import Binary, Const, Var, substitute
from ..relations.presburger import IntegerSet
from ..relations.relation import LENGTHS
from .placement import SPACE, Placement
from .program import Fan, Range, Tile

_OPERATIONS = 60_000
"""For the intervals along both axes."""


def by_axes(placement: Placement, tile: Tile, still: str) -> Range | None:
    """The tiles of a placement in boxes of a grid of rows as one fan over the rows of boxes; None in another order, and
    where an interval has no ends or is hard to find."""
    if placement.tokens is None or len(placement.query.box) != 2:
        return None
    query, key = ("v_a", placement.query, tile.query), ("v_b", placement.key, tile.key)
    sides = (query, key) if still == "I" else (key, query)
    row, there = (f"floor(({token} - {order.start}) / {order.period})" for token, order, _ in sides)
    column, beside = (order.beside(token, size) for token, order, size in sides)
    across, others = (order.count // size for _, order, size in sides)
    queries, keys = quote(placement.lengths[0]), quote(placement.lengths[-1])
    exist = " and ".join(f"{quote(length)} >= 1" for length in placement.lengths)
    try:
        with budget(_OPERATIONS):
            there_are = f"v_a < {queries} and v_b < {keys}"
            pairs = placement.tokens & IntegerSet.parse(SPACE, there_are, placement.lengths)
            rows = pairs.image(("r", "d"), f"v_r = {row} and v_d = {there} - v_r")
            columns = pairs.image(("x", "y"), f"v_x = {column} and v_y = {beside}").for_some(*LENGTHS)
            if columns.empty or not rows.bounded("d"):
                return None
            first, last = rows.interval("d", IntegerSet.parse(("r",), f"v_r >= 0 and {exist}", placement.lengths))
            lo, hi = columns.interval("y", IntegerSet.parse(("x",), f"0 <= v_x < {across}"))
    except BudgetExceeded:
        return None
    at = {"r": Binary("//", Var(still), Const(across)), "x": Binary("%", Var(still), Const(across))}
    start = Binary("*", Const(others), Binary("+", at["r"], Var("d")))
    fan = Fan(substitute(first, at), substitute(last, at), placement.row)
    lo, hi = (Binary("+", start, substitute(end, at)) for end in (lo, hi))
    return Range(lo, hi, masked=True, fan=fan)
