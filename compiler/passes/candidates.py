"""candidates: the orders of queries and keys in which a part may be computed.

They come from the relation alone: the moduli that its divisions speak of, the residues that its keys and queries
occupy, the differences between query and key residues.

    natural / natural            always possible
    natural / natural by diagonals
                                 when keys and queries have few differences
    natural / natural by rows    when a modulus is a row of tokens: the same, in fans over the rows; of rows of rows,
                                 one placement per difference of the outer ones
    boxes / boxes                when a modulus is the width of a grid and keys are near on it (``grids.py``)
    residue m / residue m        when (i - j) mod m takes few values d: one placement per d, key class c - d; or
                                 (f * i - j) mod m fewer, for an f without a divisor in common with m (``turns.py``)
    natural / packed, packed / natural, packed / packed
                                 when keys (queries) occupy few runs of the residues mod m: one placement per run
    natural / alone, alone / natural
                 when keys (queries) are a few tokens, whatever the length: one placement per run of them, in tiles no
                 wider than the matrix units need, or of one token, without them
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import Any, TypeVar, TypeVarTuple

from ...patterns_dsl.syntax import Direction
from ..relations.isl.context import BudgetExceeded, budget, quote
from ..relations.isl.presburger import IntegerSet
from ..relations.periods import finite, members, occupied, runs
from ..relations.relation import LENGTHS, lengths
from .diagonal import few_differences
from .grids import in_boxes
from .order import STRAIGHT, Turn, alone
from .placement import SPACE, Placement
from .program import NATURAL, Order, Tile
from .split import Part
from .turns import fewer, shifts

T = TypeVar("T")
Q = TypeVarTuple("Q")

_KEPT = 1024
"""Answers and placements that are kept: of each tile that is tried, the same are asked for."""

LONGEST_PERIOD = 1 << 16
"""No sequence is long enough for an order of a longer one to pay."""

MOST_STEPS = 8
"""A term is tried by rows of rows when the outer ones of queries and keys differ by at most this many."""

MOST_RUNS = 4
"""A packed order is tried when the occupied residues form at most this many runs."""

NARROW = 16
"""The least side of a product of matrices."""

MOST_COLUMNS = 4
"""More single keys than this, or queries, cost more than a narrow tile."""

_SEARCH = 20_000
"""For one question about moduli and residues; stock patterns answer theirs within half of it. Where it is not enough,
the orders that hang on the answer are not tried: a relation of many moduli would keep the search busy for hours."""


def candidates(part: Part, tile: Tile) -> Iterator[tuple[Placement, ...]]:
    """The placements of a part in each choice of orders, those in natural order first."""
    yield from in_orders_of_all(part, tile)
    formula = pairs_of(part)
    sides = _within_reach(_sides, formula)
    if not sides:
        return
    keys, queries, moduli = sides
    yield from _of_few(part, formula, keys, queries, tile)
    for modulus in moduli:
        shifted = _within_reach(shifts, formula, modulus) or ()
        if found := _within_reach(fewer, formula, modulus, shifted) or shifted:
            order = Order(modulus, 1, 0, modulus)
            yield _placed(part, formula, [(order, order, turn) for turn in found])
        key_orders = _within_reach(_packed, keys, "j", modulus) or ()
        query_orders = _within_reach(_packed, queries, "i", modulus) or ()
        for query_choice, key_choice in product(((NATURAL,), query_orders), ((NATURAL,), key_orders)):
            if query_choice and key_choice and (query_choice, key_choice) != ((NATURAL,), (NATURAL,)):
                yield _placed(part, formula, [(q, k, STRAIGHT) for q, k in product(query_choice, key_choice)])


def in_orders_of_all(part: Part, tile: Tile) -> Iterator[tuple[Placement, ...]]:
    """The placements in orders in which every token has a rank: those in natural order first, then those in boxes."""
    yield from in_natural_order(part, tile)
    formula = pairs_of(part)
    if part.relation.direction is not Direction.CROSS:
        natural = place(part, formula, NATURAL, NATURAL, STRAIGHT)
        yield from in_boxes(natural, tile, partial(_boxed, part))


def in_natural_order(part: Part, tile: Tile) -> Iterator[tuple[Placement, ...]]:
    """The placement in natural order, by diagonals, by rows of the moduli that are longer than a tile, and by rows of
    rows: one placement for each difference between the longer rows of query and key."""
    formula = pairs_of(part)
    natural = place(part, formula, NATURAL, NATURAL, STRAIGHT)
    yield (natural,)
    if _within_reach(few_differences, natural):
        yield (replace(natural, diagonal=True),)
    rows = [modulus for modulus in formula.moduli if tile.key < modulus <= LONGEST_PERIOD]
    for row in rows:
        yield (replace(natural, row=row),)
        for outer in (other for other in rows if other > row and other % row == 0):
            steps = _within_reach(_row_differences, natural.present, outer, operations=10 * _SEARCH) or ()
            if len(steps) > 1:
                term = f"floor(v_b / {outer}) - floor(v_a / {outer})"
                parts = (natural.pairs & IntegerSet.parse(SPACE, f"{term} = {step}") for step in steps)
                yield tuple(replace(natural, pairs=pairs, row=row) for pairs in parts)


def _of_few(
    part: Part, formula: IntegerSet, keys: IntegerSet, queries: IntegerSet, tile: Tile
) -> Iterator[tuple[Placement, ...]]:
    """The placements of a part with few keys in columns, and of one with few queries in rows: the others lie in natural
    order."""
    for tokens, by_key in ((keys, True), (queries, False)):
        few = _within_reach(_few, tokens) or ()
        orders = [(NATURAL, alone(*run)) if by_key else (alone(*run), NATURAL) for run in few]
        for width in (NARROW, 1):
            own = Tile(tile.query, min(tile.key, width)) if by_key else Tile(min(tile.query, width), tile.key)
            if orders and own != tile and (width > 1 or sum(last - first for first, last in few) <= MOST_COLUMNS):
                placed = _placed(part, formula, [(*order, STRAIGHT) for order in orders])
                yield tuple(replace(one, tile=own) for one in placed)


def _few(tokens: IntegerSet) -> tuple[tuple[int, int], ...]:
    """The runs [first, last) of few tokens, in tiles of ``NARROW``; none where there are more at some length."""
    numbers = tokens.for_some(*LENGTHS)
    found = (runs(numbers, MOST_RUNS) or ()) if finite(numbers) else ()
    return found if all(last - first <= NARROW for first, last in found) else ()


@lru_cache(maxsize=_KEPT)
def pairs_of(part: Part) -> IntegerSet:
    """The pairs of a part, at all lengths."""
    return part.relation.formula() & IntegerSet.parse(("i", "j"), "v_i >= 0 and v_j >= 0")


def _sides(formula: IntegerSet) -> tuple[IntegerSet, IntegerSet, list[int]]:
    """The keys, the queries, and the moduli that they or their pairs speak of."""
    keys, queries = formula.onto(("j",)), formula.onto(("i",))
    moduli = {*formula.moduli, *keys.moduli, *queries.moduli}
    return keys, queries, sorted(modulus for modulus in moduli if modulus <= LONGEST_PERIOD)


def _within_reach(question: Callable[[*Q], T], *about: *Q, operations: int = _SEARCH) -> T | None:
    """The answer; None where it takes too long."""
    found: T | None = _answered(question, about, operations)
    return found


@lru_cache(maxsize=_KEPT)
def _answered(question: Callable[..., Any], about: tuple[Hashable, ...], operations: int) -> Any:
    try:
        with budget(operations):
            return question(*about)
    except BudgetExceeded:
        return None


def _placed(part: Part, formula: IntegerSet, orders: Iterable[tuple[Order, Order, Turn]]) -> tuple[Placement, ...]:
    """The placements that hold some pair."""
    placements = (place(part, formula, *choice) for choice in orders)
    return tuple(placement for placement in placements if not placement.pairs.empty)


@lru_cache(maxsize=_KEPT)
def place(part: Part, formula: IntegerSet, query: Order, key: Order, turn: Turn) -> Placement:
    """The pairs of the part whose query and key have ranks in these orders, in the coordinates of the orders."""
    first, second = query.formula("v_c", quote("a")), key.formula(turn.formula("v_c", key.classes), quote("b"))
    ranks = f"0 <= v_c < {query.classes} and v_a >= 0 and v_b >= 0 and v_i = {first} and v_j = {second}"
    pairs = formula.image(SPACE, ranks)
    return Placement(pairs, query, key, turn, part.label, part.line, lengths=lengths(part.relation.direction))


def _boxed(part: Part, tokens: IntegerSet, query: Order, key: Order) -> Placement:
    """Pairs of a part, given in natural order over SPACE, in orders of boxes."""
    pairs = tokens.rename({"a": "i", "b": "j"}).onto(("i", "j"))
    return replace(place(part, pairs, query, key, STRAIGHT), tokens=tokens)


def _row_differences(pairs: IntegerSet, width: int) -> tuple[int, ...]:
    """By how many rows keys lie behind queries, when the differences are few."""
    rows = pairs.image(("d",), f"v_d = floor(v_b / {width}) - floor(v_a / {width})").for_some(*LENGTHS)
    return (members(rows, MOST_STEPS) or ()) if finite(rows) else ()


def _packed(tokens: IntegerSet, name: str, modulus: int) -> tuple[Order, ...]:
    """One packed order per run of occupied residues mod ``modulus``; nothing when all are, or the runs are many."""
    runs = occupied(tokens, name, modulus, MOST_RUNS) or ()
    return tuple(Order(modulus, count, start, 1) for start, count in runs if count < modulus)
