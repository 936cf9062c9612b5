"""Diagonals: when they are chosen, and that they visit the pattern, on unions of few distances drawn at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.explain.cost import cost
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import ReadError, read
from patternc.compiler.lowering.confirm import Unconfirmed, confirm
from patternc.compiler.lowering.lower import Lowered, lower
from patternc.compiler.passes.candidates import in_natural_order
from patternc.compiler.passes.count import count_visits
from patternc.compiler.passes.diagonal import diagonal_ranges, least_diagonals
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.passes.split import Part
from patternc.compiler.relations.denote import denote
from patternc.compiler.relations.integer import Binary, Const
from patternc.testing.verify.program import pair_counts


def bound(step: str, direction: str = "causal") -> pc.BoundPattern:
    return pc.loads(f"pattern p {direction} {{ step {step} }}")["p"].bound


def lowered(step: str, direction: str = "causal", tile: Tile = Tile(128, 128)) -> Lowered:  # noqa: B008 - frozen
    pattern = bound(step, direction)
    return lower(pattern.union, pattern.direction, "p", tile)


def diagonal(program: Program) -> list[bool]:
    """Of each kernel of forward."""
    return [program.is_vector(kernel) for kernel in program.forward]


DISTANCES = st.lists(st.integers(-70, 70), min_size=1, max_size=4, unique=True)
"""Of a query from its keys; a cross pattern, too, may have them."""


@settings(max_examples=25, deadline=None)
@given(
    DISTANCES, st.sampled_from(["causal", "bidirectional", "cross"]), st.sampled_from(["", "even", "cut"]), st.data()
)
def test_few_distances_become_diagonals_and_are_visited_once(
    distances: list[int], direction: str, narrowed: str, data: st.DataObject
) -> None:
    if direction == "causal":
        distances = sorted({abs(distance) for distance in distances})
    keep = {"": "i >= 0", "even": "(i + j) mod 3 = 1", "cut": "i >= 40 and j < 90"}[narrowed]
    some = " or ".join(f"i - j = {distance}" for distance in distances)
    pattern = bound(f"{{ (i, j) : ({some}) and {keep} }}", direction)
    program = lower(pattern.union, pattern.direction, "p", Tile(64, 128)).program
    n, nk = data.draw(st.integers(1, 200)), None
    if direction == "cross":
        nk = data.draw(st.integers(1, 200))
    wanted = bruteforce.mask(pattern.union, pattern.direction, n, nk)
    for side in ("forward", "backward"):
        assert np.array_equal(pair_counts(program, side, n, nk), wanted), side
    assert read(emit(program)).forward == program.forward


@pytest.mark.parametrize(
    ("step", "direction", "wanted"),
    [
        ("local(7)", "causal", [True]),
        ("local(5)", "bidirectional", [True]),  # 9 keys beside 3 tiles
        ("{ (i, j) : i = j or exists k in 0..11 : i - j = 2^k }", "causal", [True]),
        ("local(16)", "causal", [False]),  # 16 keys cost 4 tiles: two are touched
        ("block(16)", "causal", [False]),
        ("local(256) | { (i, j) : i - j = 3000 }", "causal", [False, True]),
        ("everything", "causal", [False]),
    ],
)
def test_diagonals_are_chosen_where_tiles_cost_more(step: str, direction: str, wanted: list[bool]) -> None:
    assert diagonal(lowered(step, direction).program) == wanted


def test_a_smaller_tile_is_cheaper_than_its_diagonals() -> None:
    assert diagonal(lowered("local(7)", tile=Tile(16, 16)).program) == [False]


def test_what_a_border_adds_costs_only_there() -> None:
    """A window that is shifted inwards at the end of the text: 6 distances on either side there, elsewhere 3."""
    nearest = "{ (i, j) : abs(j - max(3, min(i, n - 4))) <= 3 }"
    found = cost(bound(nearest, "bidirectional"), 128 * 100, 64)
    [share] = found.shares
    assert (share.full_tiles, share.masked_tiles) == (0, 0)
    assert 7 * 100 < share.diagonals <= 7 * 100 + 2 * 6
    assert found.tiles == -(-share.diagonals // 128)


LOG = "{ (i, j) : exists k in 1..5 : i - j = 2^k }"


def test_a_wrong_diagonal_is_seen() -> None:
    meaning, program = denote(bound(LOG).union, bound(LOG).direction), lowered(LOG).program
    confirm(emit(program), meaning)
    [kernel] = program.forward
    [sweep] = kernel.sweeps
    [span] = sweep.ranges
    assert span.diagonal and span.fan is not None
    shorter = replace(span.fan, last=Const(3))
    for wrong in (
        replace(span, lo=Binary("+", span.lo, Const(1))),
        replace(span, hi=Binary("+", span.hi, Const(1)), masked=False),
        replace(span, lo=Binary("-", span.lo, Const(40)), masked=True),  # two steps meet
        replace(span, fan=shorter),
    ):
        changed = replace(program, forward=(replace(kernel, sweeps=(replace(sweep, ranges=(wrong,)),)),))
        with pytest.raises(Unconfirmed):
            confirm(emit(changed), meaning)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b = a + x", "b = a - x"),
        ("a = b - x", "a = b + x"),
        (" & (b < count)", ""),
        ("(a >= begin) & ", ""),
        ("1 - (block + 1)", "1 - block"),
        ("(block + 1) * BLOCK_K - begin", "block * BLOCK_K - begin"),
        ("attend_diagonal", "attend_kept"),
        ("load_lse(lse_at, at, keep)", "load_lse(lse_at, rows, keep)"),
        ("for d in range", "for x in range"),
    ],
)
def test_a_changed_text_is_not_read(old: str, new: str) -> None:
    text = lowered(LOG).source
    assert old in text
    with pytest.raises(ReadError):
        read(text.replace(old, new))


def test_explain_counts_them() -> None:
    found = cost(bound(LOG), 1024, 64)
    [share] = found.shares
    assert share.orders == "natural / natural by diagonals"
    assert share.diagonals == 5 * 8
    assert found.reads == 40 * 128 and found.tiles == 1


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize(
    ("step", "runs"),
    [
        ("local(3)", [(-2, 3)]),
        ("{ (i, j) : -3 <= i - j <= 3 and i mod 60 < 2 or i - j = 40 and i >= 50 }", [(-40, -39), (-3, 4)]),
        ("{ (i, j) : i - j in {0, 3, 5} and j >= n - 45 }", [(-5, -4), (-3, -2), (0, 1)]),
    ],
)
def test_the_least_diagonals_are_those_of_the_pairs_and_no_more_than_the_range_visits(
    step: str, runs: list[tuple[int, int]], direction: str
) -> None:
    n, size = 203, 16
    pattern = bound(step, direction)
    mask = bruteforce.mask(pattern.union, pattern.direction, n)
    wanted = 0
    for query in range(0, n, size):
        rows, keys = np.nonzero(mask[query : query + size])
        apart = keys - rows - query
        seen = [apart[(first <= apart) & (apart < last)] for first, last in runs]
        wanted += sum(int(each.max() - each.min()) + 1 for each in seen if each.size)
    part = Part(denote(pattern.union, pattern.direction), "", 1)
    [[placement]] = (choice for choice in in_natural_order(part, Tile(size, size)) if choice[0].diagonal)
    assert 0 < wanted == least_diagonals(placement, Tile(size, size), n)
    [visits] = count_visits(diagonal_ranges(placement, Tile(size, size), "I"), placement, Tile(size, size), n)
    assert wanted <= visits.diagonals
