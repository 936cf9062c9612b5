"""axes: the tiles that a window of a grid touches, along each of its axes by itself.

Boxes are touched in a rectangle: rows of boxes that depend on the row of the stationary box alone, and columns that
depend on its column. Where a window is shifted inwards at the borders of a grid it is many pieces, whose outline
(``outline.py``) sees one row of boxes run into the next; seen along an axis it is an interval. The rectangle is a hull:
of a window with cut corners it holds more than there is.

So are the tiles of rows, planes, ... of tokens in natural order, where these are rows of whole tiles: from the first
row of the first plane to the last of the last, those rows that have keys in their plane, the same columns in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import and_

from ..relations.digits import Digits
from ..relations.formula import condition
from ..relations.integer import All, Binary, Compare, Const, Expr, Select, Var, substitute
from ..relations.isl.context import BudgetExceeded, budget, quote
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import LENGTHS
from ..relations.shadow import extent
from .full import seem_full
from .placement import SPACE, Placement
from .program import NATURAL, Fan, Range, Tile

MOST_STRIDES = 2
"""Rows, and planes of them: of rows in planes in a space few would be in a window of all that lie between the first and
the last, and each is a step of a loop."""

_OPERATIONS = 200_000
"""For the intervals along all axes."""

_PROOF, _PERIODS = 600_000, 4
"""For whether they hold no pair too many, which is asked where some tiles at so many periods look full."""


@dataclass(frozen=True)
class _Axis:
    """Coordinates x of the stationary rank and y of a swept one, as formulas; ``at``: that of a stationary tile. There
    are ``extent`` of each, every ``stride`` ranks. The first axis has no end: there the extent is 0, and y how far the
    swept one is behind."""

    own: str
    other: str
    at: Expr
    extent: int
    stride: int = 0


@dataclass(frozen=True)
class _Interval:
    """Of each coordinate x of an axis the interval [lo, hi) of y."""

    axis: _Axis
    lo: Expr
    hi: Expr

    def at_tile(self) -> tuple[Expr, Expr]:
        """Of the coordinate of a stationary tile."""
        lo, hi = (substitute(end, {"x": self.axis.at}) for end in (self.lo, self.hi))
        return lo, hi

    def pairs(self, lengths: tuple[str, ...]) -> IntegerSet:
        """All pairs of ranks whose coordinates are so."""
        inside = condition(All((Compare("<=", self.lo, Var("y")), Compare("<", Var("y"), self.hi))))
        return IntegerSet.parse(("x", "y"), inside, lengths).image(SPACE, _coordinates(self.axis))


def by_axes(placement: Placement, tile: Tile, still: str) -> Iterator[Range]:
    """Ways to write the tiles of a placement on a grid as one fan over its rows, where it is in boxes, or by rows of
    whole tiles in natural order. None where an interval has no ends or is hard to find."""
    if placement.tokens is not None and len(placement.query.box) == 2:
        yield from _in_boxes(placement, placement.tokens, tile, still)
    elif placement.row and placement.query == placement.key == NATURAL:
        for grain in _grains(placement, tile):
            yield from _by_rows(placement, tile, still, grain)


def _in_boxes(placement: Placement, tokens: IntegerSet, tile: Tile, still: str) -> Iterator[Range]:
    query, key = ("v_a", placement.query, tile.query), ("v_b", placement.key, tile.key)
    sides = (query, key) if still == "I" else (key, query)
    row, there = (f"floor(({token} - {order.start}) / {order.period})" for token, order, _ in sides)
    column, beside = (order.beside(token, size) for token, order, size in sides)
    across, others = (order.count // size for _, order, size in sides)
    rows = _Axis(row, f"{there} - {row}", Binary("//", Var(still), Const(across)), 0)
    columns = _Axis(column, beside, Binary("%", Var(still), Const(across)), across)
    if (found := _intervals(placement, tokens, [rows, columns])) is None:
        return
    (first, last), (lo, hi) = (each.at_tile() for each in found)
    start = Binary("*", Const(others), Binary("+", rows.at, Var("d")))
    lo, hi = Binary("+", start, lo), Binary("+", start, hi)
    yield Range(lo, hi, masked=True, fan=Fan(first, last, placement.row))


def _grains(placement: Placement, tile: Tile) -> Iterator[int]:
    """Ranks that the columns of a row may be told in: the least modulus, where it is a number of tiles, and a tile."""
    size, row = max(tile.query, tile.key), placement.row
    if row % size == 0:
        yield from (m for m in placement.pairs.moduli[:1] if size < m < row and m % size == 0 and row % m == 0)
        yield size


def _by_rows(placement: Placement, tile: Tile, still: str, grain: int) -> Iterator[Range]:
    row = placement.row
    strides = [row, *(m for m in placement.pairs.moduli if m > row)]  # of a row, a plane, ...
    if len(strides) > MOST_STRIDES or Digits.of([*placement.pairs.moduli, *strides]) is None:
        return
    size, swept = (tile.query, tile.key) if still == "I" else (tile.key, tile.query)
    found = _intervals(placement, placement.pairs, _axes(strides, grain, size, still))
    if found is None:
        return
    there = Binary("+", _over(Var(still), row // size), Var("d"))  # the row of the swept tiles
    (first, last), inside = found[0].at_tile(), list[Compare]()
    for stride, each in zip(reversed(strides[:-1]), found[1:-1], strict=True):
        (lo, hi), extent = each.at_tile(), each.axis.extent
        first = Binary("+", _times(extent, first), Binary("-", lo, each.axis.at))
        last = Binary("-", _times(extent, last), Binary("-", Binary("+", each.axis.at, Const(extent)), hi))
        at = Binary("%", _over(there, stride // row), Const(extent))
        inside += [Compare("<=", lo, at), Compare("<", at, hi)]
    start = _times(row // swept, there)
    lo, hi = (Binary("+", start, _times(grain // swept, end)) for end in found[-1].at_tile())
    if inside:
        hi = Select(All(tuple(inside)), hi, Const(0))
    span = Range(lo, hi, masked=True, fan=Fan(first, last, row))
    length = _PERIODS * strides[-1]
    try:
        with budget(_PROOF):
            full = seem_full(span, placement, tile, still, length) and _exact(found, placement)
    except BudgetExceeded:
        full = False
    yield replace(span, masked=not full)


def _axes(strides: Sequence[int], grain: int, size: int, still: str) -> list[_Axis]:
    """Planes, rows, ..., and parts of a row, of natural order: of ``size`` ranks are the stationary tiles."""
    own, other = ("v_a", "v_b") if still == "I" else ("v_b", "v_a")
    longest = strides[-1]
    planes = f"floor({own} / {longest})"
    behind = f"floor({other} / {longest}) - {planes}"
    axes = [_Axis(planes, behind, _over(Var(still), longest // size), 0, longest)]
    for inner, outer in reversed(list(pairwise((grain, *strides)))):
        extent = outer // inner
        x, y = (f"floor({rank} / {inner}) - {extent} * floor({rank} / {outer})" for rank in (own, other))
        axes.append(_Axis(x, y, Binary("%", _over(Var(still), inner // size), Const(extent)), extent, inner))
    return axes


def _over(expr: Expr, by: int) -> Expr:
    return expr if by == 1 else Binary("//", expr, Const(by))


def _times(by: int, expr: Expr) -> Expr:
    return expr if by == 1 else Binary("*", Const(by), expr)


def _coordinates(axis: _Axis) -> str:
    return f"v_x = {axis.own} and v_y = {axis.other}"


def _intervals(placement: Placement, pairs: IntegerSet, axes: Sequence[_Axis]) -> list[_Interval] | None:
    """The intervals along each axis of pairs in natural order; None where one has no ends or is hard to find."""
    queries, keys = quote(placement.lengths[0]), quote(placement.lengths[-1])
    there = IntegerSet.parse(SPACE, f"0 <= v_a < {queries} and 0 <= v_b < {keys}", placement.lengths)
    found = []
    try:
        with budget(_OPERATIONS):
            # What boxes touch beyond the end are boxes that are there; rows of tokens are not.
            if pairs is placement.tokens or any(map(pairs.involves, placement.lengths)):
                pairs = pairs & there
            for axis in axes:
                seen = pairs.image(("x", "y"), _coordinates(axis))
                known = there.image(("x",), f"v_x = {axis.own} and v_x >= 0")
                if axis.extent:
                    seen, known = seen.for_some(*LENGTHS), known.for_some(*LENGTHS)
                if seen.empty or (not axis.extent and None in extent(seen.onto(("y",)))):
                    return None
                found.append(_Interval(axis, *seen.interval("y", known)))
    except BudgetExceeded:
        return None
    return found


def _exact(intervals: Sequence[_Interval], placement: Placement) -> bool:
    """Whether all pairs of ranks within the intervals that exist belong to the placement."""
    strides = [each.axis.stride for each in intervals]
    digits = Digits.of([*strides, *placement.pairs.moduli])
    if digits is None:
        return False
    within = (digits.write(each.pairs(placement.lengths)) for each in intervals)
    return reduce(and_, within, digits.write(placement.existing)) <= digits.write(placement.pairs)
