"""Boxes of a grid as an order: a renumbering of tokens, found from the relation, confirmed, and shown."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from differences import differences

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.explain.cost import cost
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import read
from patternc.compiler.lowering.confirm import Unconfirmed, confirm
from patternc.compiler.lowering.lower import Lowered, lower
from patternc.compiler.passes.candidates import candidates
from patternc.compiler.passes.fuse import fuse
from patternc.compiler.passes.order import NATURAL, Order, flattened, grid
from patternc.compiler.passes.placement import Placement
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.passes.split import split
from patternc.compiler.relations.denote import denote
from patternc.compiler.relations.integer import Const, Var, evaluate
from patternc.compiler.relations.relation import Relation
from patternc.compiler.report.plan import order_name
from patternc.patterns_dsl.syntax import BoundPattern
from patternc.runtime.engines.compose.planning.pairs import pairs_of
from patternc.testing.verify.program import pair_counts

ORDERS = [
    grid((64,), (16, 2)),
    grid((24,), (8, 4)),
    grid((16, 64), (4, 2, 2)),
    flattened(grid((24,), (4, 4))),
    replace(grid((24,), (4, 4)), start=24),
    Order(128, 8, 120, 1),
    Order(12, 1, 0, 12),
    NATURAL,
]
TEXTS = {
    "plane": "grid(y, x = 64) { step { (i, j) : -2 <= i.x - j.x <= 2 and -2 <= i.y - j.y <= 2 } }",
    "and a column": "grid(y, x = 64) { step { (i, j) : -2 <= i.x - j.x <= 2 and -2 <= i.y - j.y <= 2 }"
    " | columns(first(3)) }",
    "space": "grid(z, y = 8, x = 64) { step { (i, j) : -1 <= i.x - j.x <= 1 and -1 <= i.y - j.y <= 1"
    " and -1 <= i.z - j.z <= 1 } }",
}


TILE = Tile(32, 32)


def bound_of(name: str, direction: str = "bidirectional") -> BoundPattern:
    return pc.loads(f"pattern p {direction} {TEXTS[name]}")["p"].bind().bound


@cache
def lowered(name: str, direction: str = "bidirectional") -> Lowered:
    bound = bound_of(name, direction)
    return lower(bound.union, bound.direction, bound.name, TILE)


@pytest.mark.parametrize("order", ORDERS, ids=order_name)
def test_an_order_gives_each_token_one_rank(order: Order) -> None:
    n = 3 * order.period + 17
    found: list[int] = []
    for cls in range(order.classes):
        ranks = np.arange(order.ranks(cls, n))
        tokens = order.token(cls, ranks)
        assert tokens.tolist() == [order.token(cls, int(rank)) for rank in ranks]
        assert tokens.tolist() == evaluate(order.expression(Const(cls), Var("t")), {"t": ranks}, np).tolist()
        assert (tokens[: order.whole(cls, n)] < n).all()
        assert order.tiled or (tokens < n).all()
        found += tokens[tokens < n].tolist()
    assert order.one_to_one and len(found) == len(set(found))
    if order.covers_all or order.tiled:
        assert sorted(found) == list(range(order.start, n))


def test_a_box_is_a_rectangle_of_the_grid() -> None:
    tokens = grid((64,), (16, 2)).token(0, np.arange(5 * 32).reshape(5, 32))
    for box, cells in enumerate(tokens):
        rows, columns = cells // 64, cells % 64
        assert (sorted(set(rows)), len(set(columns))) == ([2 * (box // 4), 2 * (box // 4) + 1], 16)
        assert columns.min() == 16 * (box % 4)


def test_a_flat_box_is_half_as_high_and_twice_as_wide() -> None:
    flat = flattened(grid((24,), (4, 4)))
    assert (grid((24,), (4, 4)).box, flat.box, grid((16, 64), (4, 2, 2)).box) == ((4, 4), (8, 2), (4, 2, 2))
    tokens = flat.token(0, np.arange(12 * 16).reshape(12, 16))
    for box, cells in enumerate(tokens):
        rows, columns = cells // 24, cells % 24
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
            2 * (box // 3),
            2 * (box // 3) + 1,
            8 * (box % 3),
            8 * (box % 3) + 7,
        )


@pytest.mark.parametrize("digits", [((16, 1), (2, 8), (4, 16)), ((16, 1), (2, 64), (4, 64)), ((4, 1), (9, 64))])
def test_digits_that_meet_give_a_token_two_ranks(digits: tuple[tuple[int, int], ...]) -> None:
    count = int(np.prod([extent for extent, _ in digits]))
    order = Order(128, count, 0, 1, digits)
    reached = order.token(0, np.arange(2 * count))
    assert not order.one_to_one
    assert len(set(reached.tolist())) < len(reached) or reached[:count].max() >= 128


@pytest.mark.parametrize(
    ("name", "direction"), [("plane", "bidirectional"), ("plane", "causal"), ("and a column", "bidirectional")]
)
def test_the_program_is_the_pattern(name: str, direction: str) -> None:
    """By brute force, at lengths that end within a box, a row and a row of boxes."""
    found, bound = lowered(name, direction), bound_of(name, direction)
    assert any(term.query.tiled and term.query == term.key for term in found.program.terms)
    holds_each_pair_once(found.program, bound)
    assert differences(read(found.source), found.program) == []


@pytest.mark.slow  # half a minute to confirm
def test_boxes_of_a_space_are_the_pattern() -> None:
    """Residues are cheaper here; boxes are a choice all the same, and must be right."""
    bound = bound_of("space")
    [part] = split(bound.union, bound.direction)
    choice = next(each for each in candidates(part, TILE) if len(each[0].query.digits) == 5)
    program = fuse("p", bound.direction, list(choice), TILE)
    confirm(emit(program), denote(bound.union, bound.direction))
    assert differences(read(emit(program)), program) == []
    holds_each_pair_once(program, bound)


def holds_each_pair_once(program: Program, bound: BoundPattern) -> None:
    for n in (1, 63, 515):
        assert np.array_equal(pairs_of(program, n, n), bruteforce.mask(bound.union, bound.direction, n)), n


def test_boxes_are_taken_where_they_touch_fewer_tiles() -> None:
    [arrangement] = lowered("plane").arrangements
    # Diagonals hold few pairs, each of which costs more: they are another matter.
    in_tiles = {"natural / natural", "natural / natural by rows of 64"}
    natural = min(tiles for orders, tiles in arrangement.rejected if orders in in_tiles)
    assert arrangement.tiles < 0.8 * natural


def test_a_window_of_seven_on_rows_of_256() -> None:
    window = "{ (i, j) : -3 <= i.x - j.x <= 3 and -3 <= i.y - j.y <= 3 }"
    bound = pc.loads(f"pattern p bidirectional grid(y, x = 256) {{ step {window} }}")["p"].bind().bound
    found = cost(bound, 16_384, 64, Tile(128, 128))
    # The keys of a box of 16 rows are in 22: in a row of boxes of 16, and one of boxes of 8.
    rows = "by rows of 4096"
    orders = {share.orders for share in found.shares}
    assert {f"boxes of 16 x 8 / boxes of {keys} from 3328 {rows}" for keys in ("16 x 8", "8 x 16")} < orders
    assert found.tiles == 624


def test_a_window_that_is_shifted_inwards_at_the_borders() -> None:
    """Nine pieces, each of which is computed in the same boxes. The keys of a box of 4 rows are in 10 rows: in two rows
    of boxes that begin with them, and half of one of flat boxes."""
    pattern = pc.library.load("neighborhood_2d")["neighborhood_2d"].bind()
    found = lower(pattern.bound.union, pattern.bound.direction, "p", Tile(16, 16))
    boxes = grid((56,), (4, 4))
    begun = replace(boxes, start=56)
    assert {term.query for term in found.program.terms} == {boxes}
    assert {term.key for term in found.program.terms} == {boxes, begun, flattened(begun)}
    for n in (1, 56, 7 * 56, 13 * 56 + 9):
        wanted = bruteforce.mask(pattern.bound.union, pattern.bound.direction, n)
        for side in ("forward", "backward"):
            assert np.array_equal(pair_counts(found.program, side, n), wanted), (n, side)
    # Of fourteen boxes of a row the inner ones meet three columns of boxes, and two of flat ones; those at the border
    # two and one. Two rows of the former, and one of the latter. The last boxes meet fewer, or a few more.
    rows = 64
    each = 2 * (3 * 14 - 2) + (2 * 14 - 2)
    price = cost(pattern.bound, rows * 224, 64, Tile(16, 16))
    assert (rows - 2) * each <= price.tiles <= (rows + 1) * each


def displaced() -> tuple[BoundPattern, tuple[Placement, ...]]:
    """A window of 7 x 7, of which no row of keys is more than a half box in vain."""
    window = "{ (i, j) : -3 <= i.x - j.x <= 3 and -3 <= i.y - j.y <= 3 }"
    bound = pc.loads(f"pattern p bidirectional grid(y, x = 32) {{ step {window} }}")["p"].bind().bound
    [part] = split(bound.union, bound.direction)
    found = [each for each in candidates(part, Tile(16, 16)) if len(each) == 3 and each[0].key.tiled]
    return bound, next(each for each in found if each[0].query == grid((32,), (4, 4)))


def test_keys_in_other_boxes_than_their_queries_are_the_pattern() -> None:
    bound, choice = displaced()
    boxes = grid((32,), (4, 4))
    begun = replace(boxes, start=32)
    assert [one.key for one in choice] == [begun, flattened(begun), boxes]
    program = fuse("p", bound.direction, choice, Tile(16, 16))
    confirm(emit(program), denote(bound.union, bound.direction))
    assert differences(read(emit(program)), program) == []
    for n in (1, 33, 515):
        wanted = bruteforce.mask(bound.union, bound.direction, n)
        for side in ("forward", "backward"):
            assert np.array_equal(pair_counts(program, side, n), wanted), (n, side)


def test_confirm_refuses_boxes_that_leave_or_share_a_pair() -> None:
    bound, choice = displaced()
    meaning, tile = denote(bound.union, bound.direction), Tile(16, 16)
    for left in range(3):
        rest = [one for place, one in enumerate(choice) if place != left]
        with pytest.raises(Unconfirmed, match="no term computes"):
            confirm(emit(fuse("p", bound.direction, rest, tile)), meaning)
    [part] = split(bound.union, bound.direction)
    whole = next(each[0] for each in candidates(part, tile) if [one.key for one in each] == [choice[0].query])
    with pytest.raises(Unconfirmed, match="share a pair"):
        confirm(emit(fuse("p", bound.direction, [whole, choice[1]], tile)), meaning)


def in_one_grid() -> tuple[Program, Relation]:
    bound = bound_of("plane")
    [part] = split(bound.union, bound.direction)
    choice = next(each for each in candidates(part, TILE) if len(each) == 1 and each[0].key.tiled)
    return fuse("p", bound.direction, choice, TILE), denote(bound.union, bound.direction)


def test_confirm_refuses_another_grid() -> None:
    program, meaning = in_one_grid()
    confirm(emit(program), meaning)
    [term] = program.terms
    other = next(order for order in (grid((64,), (8, 4)), grid((64,), (16, 2))) if order != term.query)
    kernels = {
        side: tuple(replace(kernel, order=other) for kernel in getattr(program, side))
        for side in ("forward", "backward")
    }
    with pytest.raises(Unconfirmed):
        confirm(emit(replace(program, terms=(replace(term, query=other, key=other),), **kernels)), meaning)


def test_confirm_refuses_an_order_in_which_a_token_has_two_ranks() -> None:
    program, meaning = in_one_grid()
    [term] = program.terms
    extents = [extent for extent, _ in term.query.digits]
    twice = replace(term.query, digits=tuple((extent, 1) for extent in extents))
    kernels = {
        side: tuple(replace(kernel, order=twice) for kernel in getattr(program, side))
        for side in ("forward", "backward")
    }
    with pytest.raises(Unconfirmed):
        confirm(emit(replace(program, terms=(replace(term, query=twice, key=twice),), **kernels)), meaning)
