"""arrange: choose, for each part, the order of queries and keys in which it touches the fewest tiles.

The candidates (``candidates.py``) are outlined and counted, then those that are not far behind are tiled and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from ..relations.isl.context import BudgetExceeded, budget
from .candidates import candidates
from .coarse import rough_ranges
from .count import Visits, count_visits
from .diagonal import least_diagonals
from .placement import KernelKind, Placement
from .program import NATURAL, Range, Tile
from .reference import reference_length
from .split import Part
from .tile import query_ranges
from .ways import Refused
from .wording import describe

PASS_TILES = 32
"""What a further kernel costs besides its tiles, in unmasked ones of 128 x 128: resuming from (out, lse) moves each row
once more."""

KEY_PASS_TILES = 16
"""And what a further kernel of the gradients of keys costs that has all of them, where that of the queries has some: it
adds to what is there. Half as much, since tiles are priced as forward has them."""

TERM_TILES = 8
"""What a further placement costs, in such tiles: a loop more in a kernel."""

MASKED = 1.25
"""What a masked tile costs, in unmasked ones."""

ALIKE = 1.01
"""Of the ways to place a part whose prices are at most so many times the least that of the fewest scores is taken:
prices are arithmetic, and a score that is not computed is certain."""

MOST_TILED, FAR = 6, 2.5
"""Only so many candidates are tiled, and none whose outline touches so many times as much as the best."""

_OPERATIONS = 100_000
"""For outlining and counting one candidate."""


@dataclass(frozen=True)
class Arrangement:
    """The placements of one part, the tiles that they touch at ``length`` and what these cost, and what else was
    tried. ``natural``: about the least that it costs in natural order, by tiles."""

    part: Part
    placements: tuple[Placement, ...]
    length: int
    tiles: int
    price: float
    rejected: tuple[tuple[str, int], ...]  # (orders, tiles)
    natural: float


def arrange(parts: Sequence[Part], tile: Tile) -> tuple[Arrangement, ...]:
    """The cheapest orders for each part, given those of the parts before it; in the way that is cheapest for all."""
    searches = [Search(part, candidates(part, tile), tile) for part in parts]
    ways = [_one_by_one(searches, first) for first in (frozenset[KernelKind](), *first_kernels(tile))]
    return min(ways, key=lambda way: total_price(way, tile))


def total_price(arrangements: Sequence[Arrangement], tile: Tile) -> float:
    """What arrangements cost together, overhead included."""
    placements = [placement for each in arrangements for placement in each.placements]
    return sum(each.price for each in arrangements) + overhead(placements, tile)


def _one_by_one(searches: Sequence[Search], first: frozenset[KernelKind]) -> tuple[Arrangement, ...]:
    arrangements: list[Arrangement] = []
    used = first
    for search in searches:
        arrangements.append(search.cheapest(used))
        used |= _kernels(arrangements[-1].placements, search.tile)
    return tuple(arrangements)


class Search:
    """The placements of a part, the simplest first, each priced at most once. Raises Refused where none of them has
    ranges."""

    def __init__(self, part: Part, choices: Iterable[tuple[Placement, ...]], tile: Tile) -> None:
        self.part, self.tile, self.length = part, tile, reference_length(part)
        outlined = ((each, _outlined(each, tile, self.length)) for each in choices)
        self._outlined = [(each, found) for each, found in outlined if found is not None]
        self._tiled: dict[int, tuple[int, float] | None] = {}
        if not self._outlined:
            raise self._refused()

    def cheapest(self, used: Set[KernelKind], limit: float = math.inf) -> Arrangement:
        """The cheapest placements, beside the kernels that are used; of prices that are alike those with the fewest
        scores. Only the first is tiled where its outline costs more than ``limit``. Raises Refused where none has
        ranges after all."""
        allowed = [entry for entry in self._outlined if _is_allowed(entry[0], used)]
        allowed = [allowed[0], *(entry for entry in allowed[1:] if entry[1][1] <= limit)]
        tiled: list[tuple[tuple[Placement, ...], tuple[int, float]]] = []
        prices: list[float] = []
        # Of diagonals the outline is the least that they cost: it is asked whether that is too much.
        for each, least in sorted(_near(allowed), key=lambda entry: entry[0][0].diagonal):
            above = overhead(each, self.tile, used)
            if each[0].diagonal and least + above > ALIKE * min(prices, default=math.inf):
                continue
            if (found := self._exactly(each)) is not None:
                tiled.append((each, found))
                prices.append(found[1] + above)
        if not tiled:
            raise self._refused()
        alike = (entry for entry, price in zip(tiled, prices, strict=True) if price <= ALIKE * min(prices))
        placements, (tiles, price) = min(alike, key=lambda entry: entry[1][0])
        counts = {id(each): found[0] for each, found in (*allowed, *tiled)}
        rejected = tuple((describe(each), counts[id(each)]) for each, _ in allowed if each is not placements)
        fewest = min((counts[id(each)] for each, _ in allowed if in_natural_order(each)), default=math.inf)
        return Arrangement(self.part, placements, self.length, tiles, price, rejected, fewest * self.tile.price)

    def _refused(self) -> Refused:
        return Refused(f"no order gives {self.part.label} tiles in ranges")

    def _exactly(self, placements: tuple[Placement, ...]) -> tuple[int, float] | None:
        if id(placements) not in self._tiled:
            self._tiled[id(placements)] = _tiled(placements, self.tile, self.length)
        return self._tiled[id(placements)]


def in_natural_order(placements: Sequence[Placement]) -> bool:
    """Whether they are swept in natural order, by rows or not, but not by diagonals."""
    return all(one.query == one.key == NATURAL and not one.diagonal for one in placements)


def _is_allowed(placements: Sequence[Placement], used: Set[KernelKind]) -> bool:
    """Pairs in one tiled order are hard to compare with pairs in another: a program has one."""
    tiled = {kind.order for kind in used if kind.order.tiled}
    return not tiled or all(placement.query in tiled for placement in placements if placement.query.tiled)


def _near(
    outlined: Sequence[tuple[tuple[Placement, ...], tuple[int, float]]],
) -> list[tuple[tuple[Placement, ...], float]]:
    """Those that are worth tiling, and the prices of their outlines, in the order in which they come; the first always
    is."""
    limit = FAR * min(price for _, (_, price) in outlined)
    fewest = sorted((price, rank) for rank, (_, (_, price)) in enumerate(outlined) if price <= limit)[:MOST_TILED]
    return [(outlined[rank][0], outlined[rank][1][1]) for rank in sorted({0, *(rank for _, rank in fewest)})]


def _tiled(placements: Sequence[Placement], tile: Tile, length: int) -> tuple[int, float] | None:
    """(tiles, price); None where some have no ranges."""
    try:
        return cost_of(placements, tile, length)
    except Refused:
        return None


def cost_of(placements: Sequence[Placement], tile: Tile, n: int) -> tuple[int, float]:
    """(tiles, price): those that the ranges visit at length n, in all classes, and what they cost, in unmasked ones of
    ``TILE``. Diagonals, and narrower tiles, are as many as would hold their pairs."""
    return _cost([(query_ranges(one, tile), one) for one in placements], tile, n)


def _cost(ranges: Sequence[tuple[tuple[Range, ...], Placement]], tile: Tile, n: int) -> tuple[int, float]:
    return _priced(
        [(each, one.within(tile)) for spans, one in ranges for each in count_visits(spans, one, tile, n)], tile
    )


def _priced(visits: Sequence[tuple[Visits, Tile]], tile: Tile) -> tuple[int, float]:
    # The mask of a diagonal, row or column is one predicate beside the sums over the features.
    price = sum(
        own.price * (each.tiles * (MASKED if each.masked and not own.vector else 1) + each.diagonals * own.diagonal)
        for each, own in visits
    )
    scores = sum(each.tiles * own.pairs + each.diagonals * own.query for each, own in visits)
    return -(-scores // tile.pairs), price


def _outlined(placements: Sequence[Placement], tile: Tile, length: int) -> tuple[int, float] | None:
    """(tiles, price) of the outlines, of diagonals at least; all that there are where those are too hard to find; None
    where it has no ranges."""
    try:
        with budget(_OPERATIONS):
            if placements[0].diagonal:
                visits = (Visits(0, least_diagonals(one, tile, length), False) for one in placements)
                return _priced([(each, tile) for each in visits], tile)
            return _cost([(rough_ranges(one, one.within(tile)), one) for one in placements], tile, length)
    except Refused:
        return None
    except BudgetExceeded:
        every = len(placements) * -(-length // tile.query) * -(-length // tile.key)
        return every, MASKED * every * tile.price


def first_kernels(tile: Tile) -> tuple[frozenset[KernelKind], frozenset[KernelKind]]:
    """Those that a program may have in any case, so that a part may count on them: the kernels in natural order that
    multiply matrices; or that do not."""
    matrix, vector = (
        frozenset({KernelKind("query", NATURAL, tile.query, vector), KernelKind("key", NATURAL, tile.key, vector)})
        for vector in (False, True)
    )
    return matrix, vector


def overhead(placements: Sequence[Placement], tile: Tile, used: Set[KernelKind] = frozenset()) -> float:
    """What placements cost besides their tiles, in those of ``TILE``, where there are some kernels; where there are
    none, the first kernel of either side that has all tokens finds nothing there."""
    queries = {one.by_query(tile) for one in placements} - used
    shared, own = (
        {one.by_key(tile) for one in placements if one.key.covers_all and one.query.covers_all == every}
        for every in (True, False)
    )
    few = own - shared - used
    forward = len(queries) - (not used and any(kind.order.covers_all for kind in queries))
    backward: float = len(few) - (not used and not shared and bool(few))
    # Packed keys are written once more too, as many as there are.
    packed = {one.by_key(tile) for one in placements if not one.key.covers_all} - used
    backward += sum(kind.order.count / kind.order.period for kind in packed)
    # Keys in other boxes than their queries.
    backward += len({one.by_key(tile) for one in placements if one.key.tiled and one.key != one.query} - used)
    return PASS_TILES * forward + KEY_PASS_TILES * backward + TERM_TILES * len(placements)


def _kernels(placements: Sequence[Placement], tile: Tile) -> frozenset[KernelKind]:
    return frozenset(kind for one in placements for kind in (one.by_query(tile), one.by_key(tile)))
