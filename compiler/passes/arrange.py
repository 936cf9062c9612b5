"""arrange: choose, for each part, the order of queries and keys in which it touches the fewest tiles.

The candidates (``candidates.py``) are outlined and counted, then those that are not far behind are tiled and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from ..relations.context import BudgetExceeded, budget
from ..relations.relation import KEY, QUERY
from ..relations.shadow import least
from .candidates import LONGEST_PERIOD, candidates, pairs_of
from .coarse import Refused, rough_ranges
from .count import area, count_visits
from .placement import Placement
from .program import NATURAL, Order, Range, Tile
from .split import Part
from .tile import query_ranges

REFERENCE_LENGTH = 16_384
"""Orders are compared at this length, or at some periods of the relation where those are longer."""

LONGEST_LENGTH = 1 << 19
"""They are compared at no longer ones for the sake of tokens that are far apart."""

PASS_TILES = 32
"""What a further kernel costs besides its tiles, in unmasked ones of 128 x 128: resuming from (out, lse) moves each row
once more."""

FIRST = frozenset({(NATURAL, False)})
"""The kernel that costs no more than itself: of tiles in natural order, which most programs have."""

TERM_TILES = 8
"""What a further placement costs, in such tiles: a loop more in a kernel."""

MASKED = 1.25
"""What a masked tile costs, in unmasked ones."""

MOST_TILED, FAR = 6, 2.5
"""Only so many candidates are tiled, and none whose outline touches so many times as much as the best."""

_OPERATIONS = 100_000
"""For outlining and counting one candidate."""


@dataclass(frozen=True)
class Arrangement:
    """The placements of one part, the tiles that they touch at ``length`` and what these cost, and what else was
    tried."""

    part: Part
    placements: tuple[Placement, ...]
    length: int
    tiles: int
    price: float
    rejected: tuple[tuple[str, int], ...]  # (orders, tiles)


def arrange(parts: Sequence[Part], tile: Tile) -> tuple[Arrangement, ...]:
    """The cheapest orders for each part, given those of the parts before it."""
    arrangements: list[Arrangement] = []
    used = FIRST
    for part in parts:
        arrangements.append(cheapest(part, candidates(part, tile), tile, used))
        used |= {placement.kernel for placement in arrangements[-1].placements}
    return tuple(arrangements)


def cheapest(
    part: Part, choices: Iterable[tuple[Placement, ...]], tile: Tile, used: Set[tuple[Order, bool]] = FIRST
) -> Arrangement:
    """The cheapest of several placements of a part, of which the first is that in natural order. Raises Refused where
    none of them has ranges."""
    length = reference_length(part)
    allowed = (each for each in choices if _is_allowed(each, used))
    outlined = [(each, found) for each in allowed if (found := _outlined(each, tile, length)) is not None]
    if not outlined:
        raise Refused(f"no order gives {part.label} tiles in ranges")
    tiled = [(each, found) for each in _near(outlined) if (found := _tiled(each, tile, length)) is not None]
    placements, (tiles, price) = min(tiled, key=lambda entry: entry[1][1] + overhead(entry[0], used))
    counts = {id(each): found[0] for each, found in (*outlined, *tiled)}
    rejected = tuple((describe(each), counts[id(each)]) for each, _ in outlined if each is not placements)
    return Arrangement(part, placements, length, tiles, price, rejected)


def _is_allowed(placements: Sequence[Placement], used: Set[tuple[Order, bool]]) -> bool:
    """Pairs in one tiled order are hard to compare with pairs in another: a program has one."""
    tiled = {order for order, _ in used if order.tiled}
    return not tiled or all(placement.query in tiled for placement in placements if placement.query.tiled)


def reference_length(part: Part) -> int:
    """A length at which the part shows: of the pairs of tokens that are far apart, a short sequence has few."""
    moduli = [modulus for modulus in pairs_of(part).moduli if modulus <= LONGEST_PERIOD]
    nearest = least(part.relation.pairs.image(("r",), f"v_r = v_{QUERY} - v_{KEY}"))
    periods = max(moduli, default=1)
    rows = min(64 * periods, 4 * REFERENCE_LENGTH)
    return max(REFERENCE_LENGTH, 8 * periods, rows, min(4 * nearest, LONGEST_LENGTH))


def _near(outlined: Sequence[tuple[tuple[Placement, ...], tuple[int, float]]]) -> list[tuple[Placement, ...]]:
    """Those that are worth tiling, in the order in which they come; natural order, which is first, always is."""
    limit = FAR * min(price for _, (_, price) in outlined)
    fewest = sorted((price, rank) for rank, (_, (_, price)) in enumerate(outlined) if price <= limit)[:MOST_TILED]
    return [outlined[rank][0] for rank in sorted({0, *(rank for _, rank in fewest)})]


def _tiled(placements: Sequence[Placement], tile: Tile, length: int) -> tuple[int, float] | None:
    """(tiles, price); None where some have no ranges."""
    try:
        return cost_of(placements, tile, length)
    except Refused:
        return None


def cost_of(placements: Sequence[Placement], tile: Tile, n: int) -> tuple[int, float]:
    """(tiles, price): those that the ranges visit at length n, in all classes, and what they cost, in unmasked ones of
    ``TILE``. Diagonals are as many tiles as would hold their pairs."""
    return _cost([(query_ranges(one, tile), one) for one in placements], tile, n)


def _cost(ranges: Sequence[tuple[tuple[Range, ...], Placement]], tile: Tile, n: int) -> tuple[int, float]:
    visits = [each for spans, one in ranges for each in count_visits(spans, one, tile, n)]
    # The mask of a diagonal is one predicate beside the sums over the features.
    price = sum(each.tiles * (MASKED if each.masked else 1) + each.diagonals * tile.diagonal for each in visits)
    tiles = area(sum(each.tiles for each in visits), sum(each.diagonals for each in visits), tile)
    return tiles, price * tile.price


def _outlined(placements: Sequence[Placement], tile: Tile, length: int) -> tuple[int, float] | None:
    """(tiles, price) of the outlines; all that there are where those are too hard to find; None where it has no
    ranges."""
    try:
        with budget(_OPERATIONS):
            return _cost([(_rough(one, tile), one) for one in placements], tile, length)
    except Refused:
        return None
    except BudgetExceeded:
        every = len(placements) * -(-length // tile.query) * -(-length // tile.key)
        return every, MASKED * every * tile.price


def _rough(placement: Placement, tile: Tile) -> tuple[Range, ...]:
    return query_ranges(placement, tile) if placement.diagonal else rough_ranges(placement, tile)


def overhead(placements: Sequence[Placement], used: Set[tuple[Order, bool]] = FIRST) -> int:
    """What placements cost besides their tiles, in those of ``TILE``, where there are some kernels."""
    kernels = {placement.kernel for placement in placements} - used
    return PASS_TILES * len(kernels) + TERM_TILES * len(placements)


def describe(placements: Sequence[Placement]) -> str:
    """The orders in words, for people: ``residue 128 / residue 128``."""
    names = dict.fromkeys(f"{_name(one.query)} / {_name(one.key)}{_form(one)}" for one in placements)
    return ", ".join(names)


def _form(placement: Placement) -> str:
    if placement.diagonal:
        return " by diagonals"
    return f" by rows of {placement.row}" if placement.row else ""


def _name(order: Order) -> str:
    if order == NATURAL:
        return "natural"
    if order.classes > 1:
        return f"residue {order.period}"
    if order.tiled:
        return f"boxes of {' x '.join(str(extent) for extent, _ in order.digits[: len(order.digits) // 2 + 1][::-1])}"
    return f"packed {order.count} of {order.period} from {order.start}"
