"""The passes, on patterns from the papers and on random ones. ``lower`` proves each program on the way."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import directions, expressions, pattern
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.arrange import cost_of
from patternc.compiler.passes.count import bounds, tile_count
from patternc.compiler.passes.program import Kernel, Program, Tile
from patternc.compiler.passes.split import split
from patternc.compiler.passes.wording import describe
from patternc.compiler.relations.integer import evaluate
from patternc.patterns_dsl.syntax import BoundPattern, Direction
from patternc.testing.verify.program import pair_counts


def run(program: Program, kernels: tuple[Kernel, ...], n: int, *, still: str) -> np.ndarray:
    """How often the kernels compute each pair, by walking their tiles and diagonals one by one."""
    counts = np.zeros((n, n), dtype=int)
    for kernel in kernels:
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            for cls in range(term.query.classes):
                key_class = (term.turn.factor * cls + term.turn.shift) % term.key.classes
                sides = {
                    "I": (term.query, cls, (term.tile or program.tile).query),
                    "J": (term.key, key_class, (term.tile or program.tile).key),
                }
                tiles = {name: tile_count(order, c, n, size) for name, (order, c, size) in sides.items()}
                swept = "J" if still == "I" else "I"
                for span in sweep.ranges:
                    for lo, hi in bounds(span, tiles[still], sides[still][1], tiles[swept], n, still).values():
                        for tile in range(tiles[still]):
                            for other in range(int(lo[tile]), int(hi[tile])):
                                if span.diagonal:
                                    _count_diagonal(counts, program, sweep.term, still, tile, other, span.masked)
                                    continue
                                where = {still: tile, swept: other}
                                _count(counts, program, sweep.term, cls, where["I"], where["J"], span.masked)
    return counts


def _count(
    counts: np.ndarray, program: Program, index: int, cls: int, query_tile: int, key_tile: int, masked: bool
) -> None:
    term, n = program.terms[index], len(counts)
    key_class = (term.turn.factor * cls + term.turn.shift) % term.key.classes
    tile = term.tile or program.tile
    for a in range(query_tile * tile.query, (query_tile + 1) * tile.query):
        for b in range(key_tile * tile.key, (key_tile + 1) * tile.key):
            i, j = term.query.token(cls, a), term.key.token(key_class, b)
            keep = not masked or evaluate(term.keep, {"a": a, "b": b, "c": cls, "n": n})
            if i < n and j < n and keep:
                counts[i, j] += 1


def _count_diagonal(
    counts: np.ndarray, program: Program, index: int, still: str, tile: int, difference: int, masked: bool
) -> None:
    size = program.tile.query if still == "I" else program.tile.key
    for rank in range(tile * size, (tile + 1) * size):
        a, b = (rank, rank + difference) if still == "I" else (rank - difference, rank)
        if 0 <= a < len(counts) and 0 <= b < len(counts):
            keep = not masked or evaluate(program.terms[index].keep, {"a": a, "b": b, "c": 0, "n": len(counts)})
            counts[a, b] += bool(keep)


@settings(max_examples=60, deadline=None)
@given(expressions, directions, st.integers(1, 40))
def test_programs_compute_each_pair_once(expression: str, direction: Direction, n: int) -> None:
    drawn = pattern(expression, direction)
    try:
        program = lower(drawn.bound.union, direction, "drawn", Tile(16, 16)).program
    except pc.PatternError as error:
        if [diagnostic.code for diagnostic in error.diagnostics] != ["P401"]:
            raise
        assume(False)
    _computes_once(program, drawn.bound, n)


def _computes_once(program: Program, bound: BoundPattern, n: int) -> None:
    expected = bruteforce.mask(bound.union, bound.direction, n).astype(int)
    assert np.array_equal(run(program, program.forward, n, still="I"), expected)
    assert np.array_equal(run(program, program.backward, n, still="J"), expected)


@pytest.mark.parametrize("expression, size", [("block(60) | local(9)", 16), ("block(273) | local(16)", 64)])
def test_what_is_in_two_steps_of_a_fan_is_left_to_the_one_that_loses_no_tile(expression: str, size: int) -> None:
    # A step back ends before the blocks begin, but where all steps are bounded together it ends with the query's tile.
    drawn = pattern(expression, Direction.CAUSAL)
    program = lower(drawn.bound.union, Direction.CAUSAL, "drawn", Tile(size, size)).program
    _computes_once(program, drawn.bound, 150)


@pytest.mark.parametrize("n, nk", [(1, 1), (40, 70), (70, 40)])
def test_terms_that_have_no_ranges_together_stay_apart(n: int, nk: int) -> None:
    """Between a diagonal and the last key there may be any number of tiles."""
    drawn = pattern("{ (i, j) : j = i } | { (i, j) : j = nk - 1 }", Direction.CROSS)
    program = lower(drawn.bound.union, Direction.CROSS, "drawn", Tile(16, 16)).program
    expected = bruteforce.mask(drawn.bound.union, Direction.CROSS, n, nk).astype(int)
    for side in ("forward", "backward"):
        assert np.array_equal(pair_counts(program, side, n, nk), expected)


def test_a_term_without_ranges_is_refused() -> None:
    drawn = pattern("{ (i, j) : j = nk - 1 - i or j = nq }", Direction.CROSS)
    with pytest.raises(pc.PatternError, match=r"too complex to compile: .*no bounds"):
        lower(drawn.bound.union, Direction.CROSS, "drawn")


@settings(max_examples=60, deadline=None)
@given(expressions, directions, st.integers(1, 20))
def test_split_is_a_partition(expression: str, direction: Direction, n: int) -> None:
    drawn = pattern(expression, direction)
    parts = split(drawn.bound.union, direction)
    total = drawn.relation - drawn.relation
    for part in parts:
        assert total.pairs.disjoint(part.relation.pairs)
        total = total | part.relation
    assert total.equals(drawn.relation)


@pytest.mark.parametrize(
    ("expression", "direction", "orders", "tiles"),
    [
        # The table of tile counts at n = 8192 with 128 x 128 tiles; natural order touches all 2080 causal tiles.
        ("strided(128)", Direction.CAUSAL, "residue 128 / residue 128", 128),
        ("local(4096) & strided(4)", Direction.CAUSAL, "residue 4 / residue 4", 432),
        ("columns({ j : j mod 128 >= 120 })", Direction.CAUSAL, "natural / packed 8 of 128 from 120", 160),
        ("local(129)", Direction.CAUSAL, "natural / natural", 127),
        ("rows({ j : j mod 128 >= 120 })", Direction.BIDIRECTIONAL, "packed 8 of 128 from 120 / natural", 256),
    ],
)
def test_orders_are_found_from_the_relation(expression: str, direction: Direction, orders: str, tiles: int) -> None:
    lowered = lower(pattern(expression, direction).bound.union, direction, "p", Tile(128, 128))
    (arrangement,) = lowered.arrangements
    assert describe(arrangement.placements) == orders
    touched, _ = cost_of(arrangement.placements, Tile(128, 128), 8192)
    assert touched == pytest.approx(tiles, abs=2)


def test_a_grid_is_split_into_its_row_and_its_column() -> None:
    formula = "{ (i, j) : i div 64 = j div 64 or (i - j) mod 64 = 0 }"
    lowered = lower(pattern(formula).bound.union, Direction.CAUSAL, "grid", Tile(128, 128))
    assert [describe(a.placements) for a in lowered.arrangements] == ["natural / natural", "residue 64 / residue 64"]


def test_the_end_of_a_sequence_is_swept_apart_where_some_lengths_hide_it() -> None:
    """Of 16,384 tokens the last block is one of the summaries, so that its own term, which has nothing there, seemed to
    cost nothing beside the windows; at most other lengths each window then swept all keys up to the end."""
    tile, bidirectional = Tile(128, 128), Direction.BIDIRECTIONAL
    layout = pattern("blocks(block(4) | fixed(4, 1) | columns(last(1)), 16)", bidirectional).bound.union
    arrangements = lower(layout, bidirectional, "p", tile).arrangements
    orders = [describe(each.placements) for each in arrangements]
    assert orders == ["natural / natural", "natural / packed 16 of 64 from 48", "natural / natural"]
    for n in (4081, 4096, 4097, 4112):
        touched = sum(cost_of(each.placements, tile, n)[0] for each in arrangements)
        assert touched * tile.pairs <= 1.5 * bruteforce.mask(layout, bidirectional, n).sum()


def test_terms_that_are_never_there_together_are_compared_where_each_is() -> None:
    tile, bidirectional = Tile(64, 64), Direction.BIDIRECTIONAL
    ends = "{ (i, j) : n mod 2 = 0 and j >= n - 64 } | { (i, j) : n mod 2 = 1 and j < 64 }"
    arrangements = lower(
        pattern(f"block(64) | {ends}", bidirectional).bound.union, bidirectional, "p", tile
    ).arrangements
    for n in (4096, 4097):
        touched = sum(cost_of(each.placements, tile, n)[0] for each in arrangements)
        assert touched <= 4 * -(-n // 64)  # its own, one at the front, and two at the end, which is not aligned


def test_terms_of_one_query_order_share_a_kernel() -> None:
    fixed = lower(pattern("block(128) | fixed(128, 8)").bound.union, Direction.CAUSAL, "fixed", Tile(128, 128)).program
    assert len(fixed.terms) == 2
    assert len(fixed.forward) == 1
    strided = lower(
        pattern("local(128) | strided(128)").bound.union, Direction.CAUSAL, "strided", Tile(128, 128)
    ).program
    assert [kernel.order.classes for kernel in strided.forward] == [1, 128]


@pytest.mark.parametrize("block", [64, 16])
def test_blocks_that_are_whole_tiles_have_no_mask(block: int) -> None:
    """Also where few tiles are touched, which would be masked all together."""
    bound = pc.loads(f"pattern p bidirectional {{ step blocks(local(2), {block}) }}")["p"].bind().bound
    program = lower(bound.union, bound.direction, "p", Tile(block, block)).program
    ranges = [span for k in (*program.forward, *program.backward) for sweep in k.sweeps for span in sweep.ranges]
    assert [span.masked for span in ranges] == [False, False]


def test_nearby_diagonals_become_one_term() -> None:
    diagonals = "{ (i, j) : i = j or exists k in 0..11 : i - j = 2^k }"
    lowered = lower(pattern(diagonals).bound.union, Direction.CAUSAL, "logs", Tile(128, 128))
    assert len(lowered.program.terms) < 8


def test_a_period_beyond_every_length_is_no_order() -> None:
    """It would be compared with others at eight periods: at 2^43 tokens here."""
    pattern = pc.loads("pattern p causal { step { (i, j) : i div 2^40 = j div 2^40 and (i - j) mod 4 = 0 } }")["p"]
    lowered = lower(pattern.bound.union, pattern.direction, "p")
    assert {arrangement.length for arrangement in lowered.arrangements} == {16_384}
    assert {placement.query.period for each in lowered.arrangements for placement in each.placements} == {4}
