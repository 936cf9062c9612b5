"""Rows and columns of few tokens: narrow tiles, found from the relation, chosen by cost, confirmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import differences
from hypothesis import given, settings
from hypothesis import strategies as st

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.explain.cost import cost
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import ReadError, read
from patternc.compiler.lowering.confirm import Unconfirmed, confirm
from patternc.compiler.lowering.lower import Lowered, lower
from patternc.compiler.passes.order import NATURAL, alone
from patternc.compiler.passes.program import TILE, Program, Tile
from patternc.compiler.relations.denote import denote
from patternc.patterns_dsl.syntax import BoundPattern
from patternc.testing.verify.program import pair_counts

GLOBAL = "global(first(1))"
SINKS = "columns(first(4)) | local(500)"


def bound_of(step: str, direction: str = "bidirectional") -> BoundPattern:
    return pc.loads(f"pattern p {direction} {{ step {step} }}")["p"].bind().bound


def lowered(step: str, direction: str = "bidirectional", tile: Tile | None = None) -> Lowered:
    bound = bound_of(step, direction)
    return lower(bound.union, bound.direction, bound.name, tile)


def narrow(program: Program) -> set[Tile]:
    return {term.tile for term in program.terms if term.tile is not None}


@pytest.mark.parametrize(
    ("step", "direction", "wanted", "base"),
    [
        (GLOBAL, "bidirectional", {Tile(128, 1), Tile(1, 128)}, TILE),
        ("columns({9})", "cross", {Tile(128, 1)}, TILE),
        (SINKS, "causal", {Tile(128, 16)}, TILE),
        # A kernel of rows has few queries; a further one of the gradients of keys would have all keys.
        ("local(500) | global(first(4))", "bidirectional", {Tile(16, 128), Tile(128, 16)}, TILE),
        # Of one token half of such a tile would be saved, and more than further kernels cost.
        ("local(500) | global(first(1))", "bidirectional", {Tile(1, 128), Tile(128, 1)}, TILE),
        ("columns(first(4)) | local(64)", "causal", {Tile(64, 16)}, Tile(64, 64)),
        # A pair costs twice as much in 16 as in 32 ranks, of which there are half as many: of equal prices that of the
        # fewest scores is taken.
        ("columns(first(4)) | local(32)", "causal", {Tile(32, 16)}, Tile(32, 32)),
        ("columns(first(100)) | local(500)", "causal", set(), TILE),
        ("columns(last(4)) | local(500)", "bidirectional", set(), TILE),  # no tokens that all lengths have
    ],
)
def test_a_tile_is_as_narrow_as_what_it_holds(step: str, direction: str, wanted: set[Tile], base: Tile) -> None:
    program = lowered(step, direction).program
    assert (narrow(program), program.tile) == (wanted, base)
    assert differences(read(emit(program)), program) == []


def test_what_matrix_units_leave_alone_has_kernels_of_its_own() -> None:
    program = lowered(GLOBAL).program
    first = alone(0, 1)
    assert [(kernel.order, program.is_vector(kernel)) for kernel in program.forward] == [(NATURAL, True), (first, True)]
    assert [program.queries_held(kernel) for kernel in program.forward] == [128, 1]
    assert [program.keys_held(kernel) for kernel in program.backward] == [128, 1]
    sinks = lowered(SINKS, "causal").program
    assert [len(kernel.sweeps) for kernel in sinks.forward] == [2]  # one softmax over sinks and window
    assert [(kernel.order, sinks.keys_held(kernel)) for kernel in sinks.backward] == [(NATURAL, 128), (alone(0, 4), 16)]


TOKENS = st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True)


@settings(max_examples=20, deadline=None)
@given(
    TOKENS,
    st.sampled_from(["causal", "bidirectional", "cross"]),
    st.sampled_from(["rows", "columns", "axis"]),
    st.data(),
)
def test_few_tokens_are_visited_once(tokens: list[int], direction: str, lift: str, data: st.DataObject) -> None:
    tile = data.draw(st.sampled_from([Tile(16, 16), Tile(64, 32), Tile(128, 128)]))
    chosen = f"{{{', '.join(map(str, sorted(tokens)))}}}"
    bound = bound_of(f"{lift}({chosen}) | {{ (i, j) : i = j }}", direction)
    program = lower(bound.union, bound.direction, bound.name, tile).program
    n, nk = data.draw(st.integers(1, 150)), None
    if direction == "cross":
        nk = data.draw(st.integers(1, 150))
    wanted = bruteforce.mask(bound.union, bound.direction, n, nk)
    for side in ("forward", "backward"):
        assert np.array_equal(pair_counts(program, side, n, nk), wanted), side
    assert differences(read(emit(program)), program) == []


def test_a_wrong_tile_is_seen() -> None:
    bound, source = bound_of(SINKS, "causal"), lowered(SINKS, "causal").source
    meaning = denote(bound.union, bound.direction)
    confirm(source, meaning)
    program = read(source)
    at = next(index for index, term in enumerate(program.terms) if term.tile is not None)
    terms = tuple(replace(term, tile=Tile(128, 1)) if index == at else term for index, term in enumerate(program.terms))
    split = tuple(
        replace(kernel, sweeps=(sweep,)) for kernel in program.forward for sweep in kernel.sweeps
    )  # columns of one key leave matrix units alone
    with pytest.raises(Unconfirmed, match="no range visits some pair"):
        confirm(emit(replace(program, terms=terms, forward=split)), meaning)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("* (16 // 16), tl.cdiv(count, 16))", "* (16 // BLOCK_K), tl.cdiv(count, BLOCK_K))"),
        ("T = tl.cdiv(count, 16)", "T = tl.cdiv(count, 128)"),
        ("HEAD_DIM, BLOCK_D, 16, False)", "HEAD_DIM, BLOCK_D, BLOCK_K, False)"),
        ("tiles of 128 queries x 128 keys.", "tiles of 128 queries x 64 keys."),
        ("J = block // (16 // BLOCK_K)", "J = block // (128 // BLOCK_K)"),
    ],
)
def test_blocks_that_do_not_divide_their_tile_are_not_read(text: str, other: str) -> None:
    source = lowered(SINKS, "causal").source
    assert text in source
    with pytest.raises(ReadError):
        read(source.replace(text, other))


def test_prices_are_those_of_the_arithmetic() -> None:
    # A pair by vector units costs as much as 32 of a large tile, in whatever row or column.
    assert Tile(128, 1).price == Tile(1, 128).price == pytest.approx(32 * 128 / TILE.pairs)
    assert Tile(32, 1).price == pytest.approx(32 * 32 / TILE.pairs)
    assert Tile(128, 16).price == Tile(16, 128).price == pytest.approx(4 * 16 / 128)


def test_explain_counts_scores() -> None:
    n = 4096
    found = cost(bound_of(GLOBAL), n, 64)
    assert sum(share.scores for share in found.shares) == 2 * n  # pairs, and that of the token with itself once more
    assert sum(share.read for share in found.shares) == n + n // 128
    assert found.tiles == 1 and {share.orders for share in found.shares} == {
        "0..0 alone / natural in tiles of 1 x 128",
        "natural / 0..0 alone in tiles of 128 x 1",
    }
