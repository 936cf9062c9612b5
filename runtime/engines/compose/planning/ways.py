"""How the tiles of a term are cut into runs that a batch can hold: the way that is predicted to be fastest.

Ways are looked at one after the other, that of the fewest pairs first, and each only as far as it may still be faster
than the best before it. To find the pieces of a shape takes far longer than to say how it looks, so that what is known
of a shape at once may end it: what its tiles take at least, and that it would fall apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

from .....compiler.relations.affine import Box, restrict
from .....compiler.relations.integer import TRUE, All, Predicate
from ..plan.effort import Effort
from ..plan.tiles import Tiles
from ..pricing.price import Price
from .alone import Open, is_masked
from .masks import alike_midway, is_cut, runs
from .repeats import Part, parts
from .shapes import Group, Reach, Shape, alike, bands, coarser, fewest
from .stacks import stack

MOST_PIECES = 256
"""A shape of more batches is given up, unless it is the only one."""

MOST_TIMES = 8
"""A way of so many times the pairs of another is not looked at: almost all that it has more lies between the keys."""

LARGEST_TILE = 128
"""Small tiles are taken together as far as blocks of so many queries."""

AS_FAST = 1.001
"""Of two shapes that take as long but for so much the later one is taken, whose tiles have more rows: their masks are
cut in slices afterwards."""

_Masked: TypeAlias = tuple[list[Shape], Predicate]

Piece: TypeAlias = tuple[Tiles, Open]
"""A run of tiles, and what is left of the mask on it."""

_Priced: TypeAlias = tuple[list[Piece], float]

_Repeated: TypeAlias = tuple[Part, list[Piece]]
"""The pieces of a part, which come again with it."""


def fastest_way(
    ways: list[list[Reach]], keep: Predicate, group: Group, box: Box, known: dict[str, int], price: Price
) -> list[_Repeated]:
    """The way, with the shape of each of its reaches, that is predicted to be fastest. Where each falls into very many
    pieces, the first."""

    def cut(way: list[Reach]) -> list[Part]:
        return [part for reach in way for part in parts(reach, keep, group, box)]

    def shapes(part: Part) -> list[_Masked]:
        return list(_shapes(keep, part.reach, group, box))

    def best_of(shapes: list[_Masked], least: float = math.inf) -> _Priced | None:
        return _best(shapes, group, known, price, least, every_tile=keep == TRUE)

    def alone(part: Part) -> list[Piece]:
        """Its pieces, whatever they take."""
        best = best_of(own := shapes(part))
        return best[0] if best else list(_all_pieces(keep, own, part.reach, group, known))

    if len(ways) == 1:
        return [(part, alone(part)) for part in cut(ways[0])]
    best: list[_Repeated] | None = None
    least, most = math.inf, MOST_TIMES * min(map(_pairs, ways))
    for way in sorted(ways, key=_pairs):
        if best is not None and _pairs(way) > most:
            break
        pieces: list[_Repeated] = []
        seconds = 0.0
        for part in cut(way):
            found = best_of(shapes(part), (least - seconds) / part.times)
            if found is None:
                break
            pieces.append((part, found[0]))
            seconds += found[1] * part.times
        else:
            best, least = pieces, seconds
    return [(part, alone(part)) for part in cut(ways[0])] if best is None else best


def _pairs(way: list[Reach]) -> int:
    """In the tiles of a way."""
    return sum(reach.size * int((reach.hi - reach.lo).sum()) for reach in way)


def _best(
    shapes: list[_Masked], group: Group, known: dict[str, int], price: Price, least: float, *, every_tile: bool
) -> _Priced | None:
    """The shape of a reach that is predicted to be fastest, of those that take less than ``least`` seconds and do not
    fall into very many pieces. ``every_tile``: no tile of the reach is without a pair."""
    best: _Priced | None = None
    large: list[_Masked] = []
    for shape, mask in shapes:
        if _is_large(shape):
            large.append((shape, mask))
            continue
        if every_tile and _at_least(shape, group, price) >= least * AS_FAST:
            continue
        found = _cheaper(_pieces(mask, shape, known), group, price, least * AS_FAST)
        if found is not None:
            best, least = found, found[1]
            every_tile |= sum(tiles.pairs for tiles, _ in found[0]) == sum(tiles.pairs for tiles, _ in shape)
    for shape, mask in large:
        if least == math.inf or not _falls_apart(mask, shape, known):
            found = _cheaper(_pieces(mask, shape, known), group, price, least)
            if found is not None:
                best, least = found, found[1]
    return best


def _is_large(shape: list[Shape]) -> bool:
    """Whether more tiles than there may be pieces are cut up under a mask, if each has its own."""
    return sum(tiles.count for tiles, full in shape if not full and is_cut(tiles)) > MOST_PIECES


def _falls_apart(keep: Predicate, shape: list[Shape], known: dict[str, int]) -> bool:
    """Of a large shape: whether its tiles have masks of their own, as far as the longest run tells."""
    longest = max((tiles for tiles, full in shape if not full and is_cut(tiles)), key=lambda tiles: tiles.count)
    return longest.count == 1 or not alike_midway(keep, longest, known)


def _at_least(shape: list[Shape], group: Group, price: Price) -> float:
    """Seconds that a shape takes at least, if each tile has a pair: it is computed whole, but for one that is cut."""
    whole = (tiles for tiles, full in shape if full or not is_cut(tiles))
    return price.seconds(Effort.total(price.tiles(tiles, group.count) for tiles in whole))


def _all_pieces(
    keep: Predicate, shapes: list[_Masked], reach: Reach, group: Group, known: dict[str, int]
) -> Iterator[Piece]:
    """The pieces of the first shape of a reach, or where it has none of few runs, of as few as there are."""
    shape, mask = shapes[0] if shapes else (fewest(alike(reach) if keep == TRUE else reach, group), keep)
    return _pieces(mask, shape, known)


def _shapes(keep: Predicate, reach: Reach, group: Group, box: Box) -> Iterator[_Masked]:
    """The shapes that a reach has, each under its mask. Beyond the tiles, where the mask of a term says nothing, it is
    asked which are visited: by a stack, and by blocks of several tiles."""
    beyond = cache(lambda: restrict(All((keep, reach.visited)), box))
    if keep == TRUE:
        reach = alike(reach)
    if (shape := bands(reach, group)) is not None:
        yield shape, keep
    if shape := stack(reach, group, beyond, box, exact=keep == TRUE):
        yield shape, beyond()
    for _ in range(3):
        if 2 * reach.size > LARGEST_TILE or reach.size >= group.rows:
            break
        reach = coarser(reach, 2)
        if (shape := bands(reach, group)) is not None:
            yield shape, beyond()


def _cheaper(pieces: Iterator[Piece], group: Group, price: Price, least: float) -> _Priced | None:
    """The pieces, and seconds that they are predicted to take, unless these are ``least`` or more, or they are many. To
    look for pieces takes longer than to add up what they take."""
    found: list[Piece] = []
    seconds = 0.0
    for piece in pieces:
        found.append(piece)
        seconds += price.seconds(price.tiles(piece[0], group.count, masked=is_masked(piece[1])))
        if seconds >= least or len(found) > MOST_PIECES:
            return None
    return found, seconds


def _pieces(keep: Predicate, shape: list[Shape], known: dict[str, int]) -> Iterator[Piece]:
    yield from ((tiles, TRUE) for tiles, full in shape if full)
    yield from runs(keep, [tiles for tiles, full in shape if not full], known)
