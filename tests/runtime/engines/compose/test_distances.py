"""The runs of queries that have a key at a distance are those that a look at each query finds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.lowering.lower import lower
from patternc.compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Var, evaluate
from patternc.runtime.engines.compose.plan.diagonal import Diagonals
from patternc.runtime.engines.compose.planning import distances
from patternc.runtime.engines.compose.planning.diagonals import diagonal, diagonals
from patternc.runtime.engines.compose.planning.distances import Run, runs_at_distances
from patternc.testing.verify.batches import batch_counts

NEAR, EVERY, N = 12, 4, 200

_terms: st.SearchStrategy[Expr] = st.sampled_from(
    [Var("a"), Var("b"), Binary("-", Var("b"), Var("a")), Binary("+", Var("a"), Var("b"))]
)
_bounds = st.builds(
    Compare, st.sampled_from(["<", "<=", ">", ">=", "=="]), _terms, st.builds(Const, st.integers(-9, N))
)
_at_the_end = st.builds(
    lambda term, off: Compare(">=", term, Binary("-", Var("n"), Const(off))), _terms, st.integers(0, 40)
)
_residues = st.builds(
    lambda term, by, rest: Compare("<=", Binary("%", term, Const(by)), Const(rest)),
    _terms, st.integers(2, 7), st.integers(0, 3),
)  # fmt: skip
_blocks = st.builds(
    lambda by: Compare("==", Binary("//", Var("a"), Const(by)), Binary("//", Var("b"), Const(by))), st.integers(2, 50)
)
_predicates: st.SearchStrategy[Predicate] = st.recursive(
    st.one_of(_bounds, _at_the_end, _residues, _blocks),
    lambda inner: st.one_of(
        st.builds(lambda x, y: All((x, y)), inner, inner), st.builds(lambda x, y: AnyOf((x, y)), inner, inner)
    ),
    max_leaves=5,
)
_stretches = st.tuples(st.integers(-NEAR, NEAR), st.integers(0, N), st.integers(1, N))


@pytest.fixture(params=[True, False])
def short(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stretches as long as those of very long sequences, or looked at one by one."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(distances, "LOOKED_AT", 4)
            patch.setattr(distances, "AT_ONCE", 3)
            patch.setattr(distances, "LONGEST_MASK", 40)
        yield


def kept(runs: list[Run], n: int) -> np.ndarray:
    """How many of the runs have each query."""
    counts = np.zeros(n, dtype=int)
    for run in runs:
        counts[run.start : run.stop] += run.kept(run.start, run.stop)
    return counts


@pytest.mark.usefixtures("short")
@settings(max_examples=200, deadline=None)
@given(_predicates, st.lists(_stretches, min_size=1, max_size=3, unique_by=lambda each: each[0]))
def test_any_predicate(keep: Predicate, drawn: list[tuple[int, int, int]]) -> None:
    stretches = [(distance, start, min(N, start + length)) for distance, start, length in drawn if start < N]
    found = runs_at_distances(keep, stretches, {"n": N})
    for distance, start, stop in stretches:
        queries = np.arange(start, stop)
        wanted = np.zeros(N, dtype=int)
        wanted[start:stop] = evaluate(keep, {"a": queries, "b": queries + distance, "n": N}, np)
        assert np.array_equal(kept(found.get(distance, []), N), wanted)
        assert (distance in found) == bool(wanted.any())
    for runs in found.values():
        assert all(one.stop <= two.start for one, two in pairwise(runs))
        # From a query with a key to one with a key, and no mask that says nothing.
        assert all(run.kept(run.start, run.stop)[[0, -1]].all() for run in runs)


def strided(n: int) -> Diagonals:
    bound = pc.load("library:neighborhood")["neighborhood_strided"].bind().bound
    program = lower(bound.union, bound.direction, "p").program
    [sweep] = [sweep for kernel in program.forward for sweep in kernel.sweeps]
    return Diagonals(diagonals(program, sweep, n, n), n, fresh=True)


def test_a_mask_that_comes_again_is_held_once() -> None:
    held = [
        sum(one.mask.nbytes for one in strided(n).each if one.mask is not None) for n in (1 << 16, 1 << 18, 1 << 20)
    ]
    assert 0 < held[0] == held[1] == held[2] <= 4 * distances.LONGEST_MASK


@pytest.mark.parametrize("n", [7, 100, 301])
def test_diagonals_whose_masks_come_again(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "LOOKED_AT", 16)
    monkeypatch.setattr(distances, "LONGEST_MASK", 32)
    found = strided(n)
    assert any(one.period for one in found.each) == (n > 7)
    bound = pc.load("library:neighborhood")["neighborhood_strided"].bind().bound
    assert np.array_equal(batch_counts((found,), n, n), bruteforce.mask(bound.union, bound.direction, n))


def test_a_mask_that_comes_again_is_cut_and_taken_in_parts() -> None:
    mask = np.array([True, False, False, True, False])
    whole = diagonal(-2, Run(3, 200_003, mask, period=5))
    assert whole.mask is not None
    assert len(whole.mask) < 100_000
    for one in (whole, whole.cut(150_000, 150_000)):
        for first, last in ((0, 9), (7, 8), (149_000, 149_990), (0, 150_000)):
            rows, keys, part = one.within(first, last)
            assert part is not None
            assert (keys.start, keys.stop) == (rows.start + first - 2, rows.stop + first - 2)
            wanted = mask[(np.arange(rows.start, rows.stop) + first - 3) % 5]
            assert np.array_equal(part.numpy(), wanted)
