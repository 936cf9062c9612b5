"""coarse: ranges of tiles from the outline of a term: a few more tiles than it touches, found at once.

The exact tiles of a term of many pieces and moduli may have thousands of cases; those of its outline have few. Ranges
that come from it are masked, so that what they have too much costs only work.

On a grid even that outline is a plane where the term has one window in each of a few rows. A *fan* takes the windows
apart: its steps are the row differences that occur at a stationary tile, and each step has a range of its own. There
are several ways to write either; the one of the fewest tiles is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import tee
from typing import TypeAlias

from ..relations.integer import TRUE, Binary, Compare, Const, Expr, Select, Var, substitute
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from ..relations.periods import finite, runs
from ..relations.relation import LENGTHS
from ..relations.shadow import bounds, free_of
from .axes import by_axes
from .count import count_range
from .full import only_full
from .least import least_tiles
from .outline import Outline, outline
from .placement import Placement
from .program import Fan, Range, Tile

MOST_FANS = 6
"""Row differences that form at most so many runs have a fan each: a fan has no gaps."""

LENGTH, PERIODS = 16_384, 8
"""Ways to write a range are compared at this length, or at so many periods of the term where those are longer."""

WORTH = 0.9
"""A longer way to write a range is taken where it leaves less than this share of its tiles."""

MOST_PIECES = 4
"""Of more convex pieces in boxes of a grid no outline is looked for beside the tiles along its axes."""

MOST_MARKS = 3
"""Only the largest moduli of a term are marked."""

_OPERATIONS = 20_000
"""For one way to write a bound."""

Ends: TypeAlias = tuple[Expr, Expr]


class Refused(Exception):
    """The placement has no ranges of this kind."""


def coarse_ranges(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...]:
    """Masked ranges that hold every tile that the placement touches, once; none where it touches none.

    Raises Refused where rows have windows so wide that fans do not take them apart.
    """
    if placement.present.empty:
        return ()
    length = _length(placement)
    count = partial(count_range, placement=placement, tile=tile, n=length, still=still)
    along = _along(placement, tile, still, count)
    if along is not None and _suffices(along, placement, tile, still, swept, count):
        found = [along]
    else:
        view = outline(placement, tile, still, swept, MOST_MARKS)
        least = partial(least_tiles, view=view, placement=placement, tile=tile, n=length, still=still)
        parts = _ways(view, placement, tile, still, swept)
        found = [_fewest(ways, view, count, partial(least, tiles)) for tiles, ways in parts]
        if along is not None and count(along) < sum(map(count, found)):
            found = [along]
    return tuple(
        replace(span, masked=span.masked and not only_full(span, placement, tile, still, length)) for span in found
    )


def _length(placement: Placement) -> int:
    """At which the ranges of a placement are counted."""
    return max(LENGTH, *(PERIODS * m for m in (0, *placement.pairs.moduli) if m <= LENGTH))


def rough_ranges(placement: Placement, tile: Tile) -> tuple[Range, ...]:
    """Key ranges as ``coarse_ranges`` has them, at a glance: with one modulus marked, written the first way."""
    if placement.present.empty:
        return ()
    count = partial(count_range, placement=placement, tile=tile, n=LENGTH, still="I")
    along = _along(placement, tile, "I", count)
    if along is not None and _suffices(along, placement, tile, "I", "J", count):
        return (along,)
    return _at_a_glance(placement, tile, "I", "J")


def _along(placement: Placement, tile: Tile, still: str, count: Callable[[Range], int]) -> Range | None:
    """Of the ways to write the tiles along the axes of a grid the first that needs no mask, or that of the fewest."""
    ways = _all_along(placement, tile, still)
    if ways and not ways[-1].masked:
        return ways[-1]
    return min(ways, key=count, default=None)


@lru_cache(maxsize=1024)  # asked for at a glance and closely
def _all_along(placement: Placement, tile: Tile, still: str) -> tuple[Range, ...]:
    """The ways along the axes, up to the first that needs no mask."""
    found: list[Range] = []
    for way in by_axes(placement, tile, still):
        found.append(way)
        if not way.masked:
            break
    return tuple(found)


def _suffices(
    along: Range, placement: Placement, tile: Tile, still: str, swept: str, count: Callable[[Range], int]
) -> bool:
    """Whether tiles along the axes of a grid need no outline beside them: of many pieces it is long to find, and never
    much better than at a glance."""
    if not along.masked or (placement.tokens is not None and len(placement.pairs.disjuncts()) > MOST_PIECES):
        return True
    return 2 * count(along) <= sum(map(count, _at_a_glance(placement, tile, still, swept)))


@lru_cache(maxsize=1024)  # and closely, beside the tiles along the axes of a grid
def _at_a_glance(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...]:
    view = outline(placement, tile, still, swept, 1)
    return tuple(_first(ways, view) for _, ways in _ways(view, placement, tile, still, swept))


def _ways(
    view: Outline, placement: Placement, tile: Tile, still: str, swept: str
) -> Iterator[tuple[IntegerSet, Iterator[Range]]]:
    """Of each range of the placement its tiles, and the ways to write it."""
    if not placement.row:
        yield view.tiles, _single(view, swept)
        return
    for part in _by_run(view.tiles):
        yield part, _fan(part, view, placement, tile, still, swept)


def _first(ways: Iterator[Range], view: Outline) -> Range:
    for way in ways:
        return _unmarked(way, view)
    raise Refused("the tiles of a step have no bounds")


def _fewest(
    ways: Iterator[Range], view: Outline, count: Callable[[Range], int], least: Callable[[Range], int]
) -> Range:
    """The first of those that are counted to about the fewest tiles. None is looked for behind one that has about the
    ``least``, which any of them has."""
    best = _first(ways, view)
    tiles, enough = count(best), least(best)
    seen = {best}
    while enough < WORTH * tiles and (way := next(ways, None)) is not None:
        if (written := _unmarked(way, view)) not in seen:
            seen.add(written)
            if (fewer := count(written)) < WORTH * tiles:
                best, tiles = written, fewer
    return best


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
    count = partial(count_range, placement=placement, tile=tile, n=_length(placement), still=still, distinct=True)
    steps = _steps(tiles, view)
    for lo, hi in _step_ends(tiles, view, row // size, swept):
        own, steps = tee(steps)  # found when they are asked for, and once
        for first, last in own:
            every = Range(lo, hi, masked=True, fan=Fan(first, last, row))
            if apart:
                yield every
                continue
            wanted = count(_unmarked(every, view))
            yield from (way for way in _once(every) if count(_unmarked(way, view)) == wanted)


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


def _unmarked(span: Range, view: Outline) -> Range:
    """The range without marks, which are functions of the stationary tile."""
    lo, hi = (substitute(end, view.marks) for end in (span.lo, span.hi))
    if span.fan is None:
        return Range(lo, hi, span.masked)
    first, last = (substitute(end, view.marks) for end in (span.fan.first, span.fan.last))
    return Range(lo, hi, span.masked, Fan(first, last, span.fan.row))
