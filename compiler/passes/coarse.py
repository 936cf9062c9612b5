"""coarse: ranges of tiles from the outline of a term: a few more tiles than it touches, found at once.

The exact tiles of a term of many pieces and moduli may have thousands of cases; those of its outline have few. Ranges
that come from it are masked, so that what they have too much costs only work.

On a grid even that outline is a plane where the term has one window in each of a few rows. A *fan* takes the windows
apart: its steps are the row differences that occur at a stationary tile, and each step has a range of its own. There
are several ways to write either; the one of the fewest tiles is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial

from .axes import by_axes
from .count import count_range
from .full import only_full
from .least import least_tiles
from .outline import Outline, outline
from .placement import Placement
from .program import Range, Tile
from .ways import LENGTH, Refused, length_of, unmarked, ways_to_write

WORTH = 0.9
"""A longer way to write a range is taken where it leaves less than this share of its tiles."""

MOST_PIECES = 4
"""Of more convex pieces in boxes of a grid no outline is looked for beside the tiles along its axes."""

MOST_MARKS = 3
"""Only the largest moduli of a term are marked."""


def coarse_ranges(placement: Placement, tile: Tile, still: str, swept: str) -> tuple[Range, ...]:
    """Masked ranges that hold every tile that the placement touches, once; none where it touches none.

    Raises Refused where rows have windows so wide that fans do not take them apart.
    """
    if placement.present.empty:
        return ()
    length = length_of(placement)
    count = partial(count_range, placement=placement, tile=tile, n=length, still=still)
    along = _along(placement, tile, still, count)
    if along is not None and _suffices(along, placement, tile, still, swept, count):
        found = [along]
    else:
        view = outline(placement, tile, still, swept, MOST_MARKS)
        least = partial(least_tiles, view=view, placement=placement, tile=tile, n=length, still=still)
        parts = ways_to_write(view, placement, tile, still, swept)
        found = [_fewest(ways, view, count, partial(least, tiles)) for tiles, ways in parts]
        if along is not None and count(along) < sum(map(count, found)):
            found = [along]
    return tuple(
        replace(span, masked=span.masked and not only_full(span, placement, tile, still, length)) for span in found
    )


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
    return tuple(_first(ways, view) for _, ways in ways_to_write(view, placement, tile, still, swept))


def _first(ways: Iterator[Range], view: Outline) -> Range:
    """The one that is found at once."""
    for way in ways:
        return unmarked(way, view)
    raise Refused("the tiles of a step have no bounds")


def _fewest(
    ways: Iterator[Range], view: Outline, count: Callable[[Range], int], least: Callable[[Range], int]
) -> Range:
    """The first of those that are counted to about the fewest tiles. None is looked for behind one that has about the
    ``least``, which any of them has."""
    best = _first(ways, view)
    tiles = count(best)
    enough = least(best) if tiles else 0
    seen = {best}
    while enough < WORTH * tiles and (way := next(ways, None)) is not None:
        if (written := unmarked(way, view)) not in seen:
            seen.add(written)
            if (fewer := count(written)) < WORTH * tiles:
                best, tiles = written, fewer
    return best
