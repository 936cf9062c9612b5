"""ways: how the ranges of an outline can be written.

The ends of a range may be those of the convex hull of its tiles, or of their pieces; those at all lengths together, or
at each; of a fan the same in every row, or as they lie in each. All hold every tile of the outline, some hold more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import tee
from typing import TypeAlias

from ..relations.integer import TRUE, Binary, Compare, Const, Expr, Select, Var, substitute
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from ..relations.periods import finite, runs
from ..relations.relation import LENGTHS
from ..relations.shadow import bounds, free_of
from .count import count_range
from .outline import Outline
from .placement import Placement
from .program import Fan, Range, Tile

MOST_FANS = 6
"""Row differences that form at most so many runs have a fan each: a fan has no gaps."""

LENGTH, PERIODS = 16_384, 8
"""Ways to write a range are compared at this length, or at so many periods of the term where those are longer."""

_OPERATIONS = 20_000
"""For one way to write a bound."""

Ends: TypeAlias = tuple[Expr, Expr]


class Refused(Exception):
    """The placement has no ranges of this kind."""


def length_of(placement: Placement) -> int:
    """At which the ranges of a placement are counted."""
    return max(LENGTH, *(PERIODS * m for m in (0, *placement.pairs.moduli) if m <= LENGTH))


def ways_to_write(
    view: Outline, placement: Placement, tile: Tile, still: str, swept: str
) -> Iterator[tuple[IntegerSet, Iterator[Range]]]:
    """Of each range of the placement its tiles, and the ways to write it."""
    if not placement.row:
        yield view.tiles, _single(view, swept)
        return
    for part in _by_run(view.tiles):
        yield part, _fan(part, view, placement, tile, still, swept)


def _single(view: Outline, swept: str) -> Iterator[Range]:
    """Ways to write a range without a fan."""
    for tiles in _lengths(view.tiles):
        somewhere = tiles.hull().onto(view.known.dims)
        touched = somewhere.predicate(view.known)
        for lo, hi in _ends(tiles, swept, view.known & somewhere):
            yield Range(lo, hi if touched == TRUE else Select(touched, hi, Const(0)), masked=True)


def _lengths(numbers: IntegerSet) -> tuple[IntegerSet, IntegerSet]:
    """Seen at all lengths together, and at each."""
    return free_of(LENGTHS, numbers), numbers


def _ends(numbers: IntegerSet, dim: str, known: IntegerSet) -> Iterator[Ends]:
    """Ways to write the hull [lo, hi) of ``dim``: that of the convex hull, and that of the pieces."""
    if (found := bounds(numbers.hull().simplify(known), dim)) is None:
        return
    yield found
    try:
        with budget(_OPERATIONS):
            found = numbers.interval(dim, known)
    except BudgetExceeded:
        return
    yield found


def _by_run(tiles: IntegerSet) -> list[IntegerSet]:
    """The tiles by runs of steps; all together where those are unbounded, many, or share tiles."""
    steps = tiles.onto(("d",)).for_some(*LENGTHS)
    found = (runs(steps, MOST_FANS) or ()) if finite(steps) else ()
    if len(found) < 2 or _overlapping(tiles):
        return [tiles]
    return [tiles & IntegerSet.parse(("d",), f"{lo} <= v_d < {hi}").onto(tiles.dims) for lo, hi in found]


def _fan(tiles: IntegerSet, view: Outline, placement: Placement, tile: Tile, still: str, swept: str) -> Iterator[Range]:
    """Ways to write a fan."""
    row, size = placement.row, tile.key if still == "I" else tile.query
    apart = not _overlapping(tiles)
    if _overlapping(tiles, steps=2):
        raise Refused("a tile is in three steps of a fan")
    count = partial(count_range, placement=placement, tile=tile, n=length_of(placement), still=still, distinct=True)
    steps = _steps(tiles, view)
    for lo, hi in _step_ends(tiles, view, row // size, swept):
        own, steps = tee(steps)  # found when they are asked for, and once
        for first, last in own:
            every = Range(lo, hi, masked=True, fan=Fan(first, last, row))
            if apart:
                yield every
                continue
            wanted = count(unmarked(every, view))
            yield from (way for way in _once(every) if count(unmarked(way, view)) == wanted)


def _steps(tiles: IntegerSet, view: Outline) -> Iterator[Ends]:
    """The steps of a stationary tile: as it lies in all rows, or only as its row lies in the longer ones."""
    for numbers in (tiles.onto((*view.known.dims, "d")), _left(tiles, (*view.coarser, "d"))):
        for each in _lengths(numbers):
            yield from _ends(each, "d", view.known.onto(each.dims[:-1]))


def _left(numbers: IntegerSet, dims: Sequence[str]) -> IntegerSet:
    """A superset in which the other dims play no part."""
    return numbers.without([dim for dim in numbers.dims if dim not in dims]).onto(dims)


def _step_ends(tiles: IntegerSet, view: Outline, row_tiles: int, swept: str) -> Iterator[Ends]:
    """The tiles of a step: those of the outline, or the same in every row."""
    dims, somewhere = tiles.dims[:-1], free_of(LENGTHS, tiles).hull()
    known = view.known.onto(dims) & somewhere.onto(dims)
    for each in _lengths(tiles):
        yield from _ends(each, swept, known)
    if view.row:
        row = f"{row_tiles} * (v_{view.row} + v_d)"
        within = tiles.image((*view.known.dims, "x"), f"v_x = v_{swept} - {row}")
        start = Binary("*", Const(row_tiles), Binary("+", Var(view.row), Var("d")))
        for each in _lengths(_left(within, (*view.finer, "x"))):
            for lo, hi in _ends(each, "x", known.onto(view.finer)):
                yield Binary("+", start, lo), Binary("+", start, hi)


def _once(span: Range) -> Iterator[Range]:
    """Ways to have a tile at the end of one row and the start of the next in one step. Left to the first of both, none
    is lost if starts rise from step to step; to the second, if ends do. Bounds wider than the tiles of a step need not.
    """
    assert span.fan is not None
    before = substitute(span.hi, {"d": Binary("-", Var("d"), Const(1))})
    after = substitute(span.lo, {"d": Binary("+", Var("d"), Const(1))})
    yield replace(span, lo=Select(Compare(">", Var("d"), span.fan.first), Binary("max", span.lo, before), span.lo))
    followed = Compare("<", Binary("+", Var("d"), Const(1)), span.fan.last)
    yield replace(span, hi=Select(followed, Binary("min", span.hi, after), span.hi))


def _overlapping(tiles: IntegerSet, steps: int = 1) -> bool:
    """Whether some tile may be in two steps, so many apart or more."""
    hull = free_of(LENGTHS, tiles).hull()
    dims = (*tiles.dims, "e")
    later = hull.rename({"d": "e"}).onto(dims) & IntegerSet.parse(dims, f"v_d + {steps} <= v_e")
    return not (hull.onto(dims) & later).empty


def unmarked(span: Range, view: Outline) -> Range:
    """The range without marks, which are functions of the stationary tile."""
    lo, hi = (substitute(end, view.marks) for end in (span.lo, span.hi))
    if span.fan is None:
        return Range(lo, hi, span.masked)
    first, last = (substitute(end, view.marks) for end in (span.fan.first, span.fan.last))
    return Range(lo, hi, span.masked, Fan(first, last, span.fan.row))
