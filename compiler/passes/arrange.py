"""arrange: choose, for each part, the order of queries and keys in which it touches the fewest tiles.

Candidate orders come from the relation alone: the moduli that its divisions speak of, the residues that its keys and
queries occupy, the differences between query and key residues. Each candidate is tiled and counted.

    natural / natural            always possible
    residue m / residue m        when (i - j) mod m takes few values d: one placement per d, key class c - d
    natural / packed, packed / natural, packed / packed
                                 when keys (queries) occupy few runs of the residues mod m: one placement per run
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeVar

from ..relations.context import BudgetExceeded, budget, quote
from ..relations.periods import occupied
from ..relations.presburger import IntegerSet
from ..relations.relation import lengths
from .count import tiles_touched
from .program import NATURAL, Order, Tile
from .split import Part
from .tile import SPACE, Placement

T = TypeVar("T")

REFERENCE_LENGTH = 16_384
"""Orders are compared at this length, or at some periods of the relation where those are longer."""

LONGEST_PERIOD = 1 << 16
"""No sequence is long enough for an order of a longer one to pay."""

MOST_SHIFTS = 8
"""A residue order is tried when queries and keys differ by at most this many residues."""

MOST_RUNS = 4
"""A packed order is tried when the occupied residues form at most this many runs."""

PASS_TILES = 24
"""What a further placement costs besides its tiles, in tiles: resuming from (out, lse) moves each row once more."""

_OPERATIONS = 300_000
"""For counting the tiles of one candidate."""

_SEARCH = 20_000
"""For one question about moduli and residues; stock patterns answer theirs within half of it. Where it is not enough,
the orders that hang on the answer are not tried: a relation of many moduli would keep the search busy for hours."""


@dataclass(frozen=True)
class Arrangement:
    """The placements of one part, the tiles that they touch at ``length``, and what else was tried."""

    part: Part
    placements: tuple[Placement, ...]
    length: int
    tiles: int
    rejected: tuple[tuple[str, int], ...]  # (orders, tiles)


def arrange(parts: Sequence[Part], tile: Tile) -> tuple[Arrangement, ...]:
    """The cheapest orders for each part."""
    return tuple(_arrange(part, tile) for part in parts)


def _arrange(part: Part, tile: Tile) -> Arrangement:
    formula = part.relation.formula() & IntegerSet.parse(("i", "j"), "v_i >= 0 and v_j >= 0")
    length = max([REFERENCE_LENGTH, *(8 * m for m in formula.moduli if m <= LONGEST_PERIOD)])
    tried: list[tuple[int, int, int, tuple[Placement, ...]]] = []
    for rank, placements in enumerate(_candidates(part, formula)):
        try:
            with budget(_OPERATIONS):
                tiles = sum(tiles_touched(placement, tile, length) for placement in placements)
        except BudgetExceeded:
            if rank:  # the natural order stays a candidate whatever it costs
                continue
            tiles = (length // tile.query) * (length // tile.key)
        tried.append((tiles + PASS_TILES * (len(placements) - 1), rank, tiles, placements))
    _, chosen, tiles, placements = min(tried, key=lambda entry: entry[:2])
    rejected = tuple((describe(other), count) for _, rank, count, other in tried if rank != chosen)
    return Arrangement(part, placements, length, tiles, rejected)


def _candidates(part: Part, formula: IntegerSet) -> Iterator[tuple[Placement, ...]]:
    yield (place(part, formula, NATURAL, NATURAL, 0),)
    sides = _within_reach(lambda: _sides(formula))
    if not sides:
        return
    keys, queries, moduli = sides
    for modulus in moduli:
        shifts = _within_reach(partial(_values, formula, f"(v_i - v_j) mod {modulus}", MOST_SHIFTS))
        if shifts and modulus > 1:
            order = Order(modulus, 1, 0, modulus)
            yield _placed(part, formula, [(order, order, -shift % modulus) for shift in shifts])
        key_orders = _within_reach(partial(_packed, keys, "j", modulus)) or ()
        query_orders = _within_reach(partial(_packed, queries, "i", modulus)) or ()
        for query_choice, key_choice in product(((NATURAL,), query_orders), ((NATURAL,), key_orders)):
            if query_choice and key_choice and (query_choice, key_choice) != ((NATURAL,), (NATURAL,)):
                yield _placed(part, formula, [(q, k, 0) for q, k in product(query_choice, key_choice)])


def _sides(formula: IntegerSet) -> tuple[IntegerSet, IntegerSet, list[int]]:
    """The keys, the queries, and the moduli that they or their pairs speak of."""
    keys, queries = formula.onto(("j",)), formula.onto(("i",))
    moduli = {*formula.moduli, *keys.moduli, *queries.moduli}
    return keys, queries, sorted(modulus for modulus in moduli if modulus <= LONGEST_PERIOD)


def _within_reach(question: Callable[[], T]) -> T | None:
    """The answer; None where it takes too long."""
    try:
        with budget(_SEARCH):
            return question()
    except BudgetExceeded:
        return None


def _placed(part: Part, formula: IntegerSet, orders: Iterable[tuple[Order, Order, int]]) -> tuple[Placement, ...]:
    """The placements that hold some pair."""
    placements = (place(part, formula, *choice) for choice in orders)
    return tuple(placement for placement in placements if not placement.pairs.empty)


def place(part: Part, formula: IntegerSet, query: Order, key: Order, shift: int) -> Placement:
    """The pairs of the part whose query and key have ranks in these orders, in the coordinates of the orders."""
    key_class = f"(v_c + {shift}) mod {key.classes}" if key.classes > 1 else "0"
    pairs = formula.image(
        SPACE,
        f"0 <= v_c < {query.classes} and v_a >= 0 and v_b >= 0 and "
        f"v_i = {query.formula('v_c', quote('a'))} and v_j = {key.formula(key_class, quote('b'))}",
    )
    return Placement(pairs, query, key, shift, part.label, part.line, lengths(part.relation.direction))


def _values(formula: IntegerSet, term: str, most: int) -> tuple[int, ...]:
    """The values that a term takes, when they are at most ``most``; else nothing."""
    rest = formula.image(("r",), f"v_r = {term}").for_some("n", "nq", "nk")
    found: list[int] = []
    while not rest.empty:
        if len(found) == most:
            return ()
        point = rest.smallest(())
        assert point is not None
        found.append(point["r"])
        rest = rest - IntegerSet.parse(("r",), f"v_r = {point['r']}")
    return tuple(found)


def _packed(tokens: IntegerSet, name: str, modulus: int) -> tuple[Order, ...]:
    """One packed order per run of occupied residues mod ``modulus``; nothing when all are, or the runs are many."""
    runs = occupied(tokens, name, modulus, MOST_RUNS) or ()
    return tuple(Order(modulus, count, start, 1) for start, count in runs if count < modulus)


def describe(placements: Sequence[Placement]) -> str:
    """The orders in words, for people: ``residue 128 / residue 128``."""
    names = dict.fromkeys(f"{_name(placement.query)} / {_name(placement.key)}" for placement in placements)
    return ", ".join(names)


def _name(order: Order) -> str:
    if order == NATURAL:
        return "natural"
    if order.classes > 1:
        return f"residue {order.period}"
    return f"packed {order.count} of {order.period} from {order.start}"
