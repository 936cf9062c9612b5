"""What is claimed of a mask holds for every rank that it is claimed for."""

from __future__ import annotations

import itertools
import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.compiler.relations.affine import Spaced, invariant, restrict, staircase
from patternc.compiler.relations.decided import decided
from patternc.compiler.relations.integer import (
    FALSE,
    TRUE,
    All,
    AnyOf,
    Binary,
    Compare,
    Const,
    Expr,
    Predicate,
    Select,
    Var,
    evaluate,
    negated,
)
from patternc.compiler.relations.recurring import periods
from patternc.compiler.relations.sums import at_distance, in_digits, in_quotients

_constants = st.builds(Const, st.integers(-6, 6))
_divisors = st.builds(Const, st.integers(1, 5))
_exprs: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(_constants, st.builds(Var, st.sampled_from("ab"))),
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-", "min", "max"]), inner, inner),
        st.builds(Binary, st.just("*"), _constants, inner),
        st.builds(Binary, st.sampled_from(["//", "%"]), inner, _divisors),
        st.builds(Select, st.builds(Compare, st.just(">="), inner, inner), inner, inner),
    ),
    max_leaves=4,
)
_compares = st.builds(Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), _exprs, _exprs)


_divided: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(_constants, st.just(Var("a"))),
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-"]), inner, inner),
        st.builds(Binary, st.just("*"), _constants, inner),
        st.builds(Binary, st.sampled_from(["//", "%"]), inner, _divisors),
    ),
    max_leaves=5,
)


def _spread(distance: int, period: int = 64) -> Predicate:
    """Keys at least so far before the query, in residue order: period * a + c >= period * b + distance."""
    above, below = (Binary("*", Const(period), Var(name)) for name in "ab")
    return Compare(">=", Binary("+", Var("c"), above), Binary("+", below, Const(distance)))


_spaced = st.builds(_spread, st.integers(-4, 20), st.integers(1, 8))
_predicates: st.SearchStrategy[Predicate] = st.recursive(
    _compares,
    lambda inner: st.one_of(
        st.builds(lambda x, y: All((x, y)), inner, inner), st.builds(lambda x, y: AnyOf((x, y)), inner, inner)
    ),
    max_leaves=3,
)


@settings(max_examples=300, deadline=None)
@given(_divided)
def test_what_is_divided_begins_anew_after_its_periods(expr: Expr) -> None:
    """It is then more by the same, wherever it is looked at."""
    every = math.lcm(*periods(expr))
    at = [evaluate(expr, {"a": a}) for a in range(-7, every + 7)]
    assert len({later - before for before, later in zip(at, at[every:], strict=False)}) == 1


def test_a_remainder_has_no_more_periods_than_its_own() -> None:
    quarter = Binary("//", Binary("%", Binary("//", Var("a"), Const(10)), Const(6)), Const(4))
    assert periods(quarter) == {6, 10, 60}


@given(_predicates, st.integers(0, 12), st.integers(0, 12))
def test_invariant_means_that_nothing_changes(predicate: Predicate, query_step: int, key_step: int) -> None:
    if invariant(predicate, query_step, key_step):
        for a, b in itertools.product(range(12), repeat=2):
            here = bool(evaluate(predicate, {"a": a, "b": b}))
            assert here == bool(evaluate(predicate, {"a": a + query_step, "b": b + key_step}))


@settings(max_examples=300, deadline=None)
@given(_predicates, st.integers(0, 9), st.integers(0, 5), st.integers(0, 9), st.integers(0, 5))
def test_restrict_agrees_inside_the_box(predicate: Predicate, a: int, wide: int, b: int, high: int) -> None:
    local = restrict(predicate, {"a": (a, a + wide), "b": (b, b + high)})
    for x, y in itertools.product(range(a, a + wide + 1), range(b, b + high + 1)):
        assert bool(evaluate(local, {"a": x, "b": y})) == bool(evaluate(predicate, {"a": x, "b": y}))


@settings(max_examples=300, deadline=None)
@given(_predicates, st.integers(0, 9), st.integers(1, 5), st.integers(1, 24), st.integers(0, 9), st.integers(1, 24))
def test_restrict_agrees_at_values_that_are_spaced(
    predicate: Predicate, a: int, size: int, step: int, b: int, other: int
) -> None:
    spaced = {"a": Spaced(a, size, step), "b": Spaced(b, 2, other)}
    local = restrict(predicate, {"a": (a, a + 3 * step + size - 1), "b": (b, b + 3 * other + 1)}, spaced)
    for t, x, y in itertools.product(range(4), range(size), range(2)):
        at = {"a": a + t * step + x, "b": b + t * other + y}
        assert bool(evaluate(local, at)) == bool(evaluate(predicate, at))


def test_remainders_of_spaced_values_decide() -> None:
    """Column 5 of rows of 8 boxes of 4 ranks; neither after 20 ranks, nor where a value runs over the end."""
    row, box = Binary("%", Var("a"), Const(4)), Binary("%", Binary("//", Var("a"), Const(4)), Const(8))
    column, every = Compare("==", box, Const(5)), {"a": (0, 999)}
    assert restrict(column, every, {"a": Spaced(20, 4, 32)}) == TRUE
    assert restrict(Compare(">=", row, Const(3)), every, {"a": Spaced(20, 3, 32)}) == FALSE
    assert restrict(column, every, {"a": Spaced(20, 4, 20)}) == column
    assert restrict(column, every, {"a": Spaced(28, 8, 32)}) == column


@settings(max_examples=300, deadline=None)
@given(_predicates, st.integers(-9, 9))
def test_a_distance_agrees_with_its_pairs(predicate: Predicate, distance: int) -> None:
    along = at_distance(predicate)
    for a in range(-9, 9):
        here = bool(evaluate(along, {"a": a, "x": distance}))
        assert here == bool(evaluate(predicate, {"a": a, "b": a + distance}))


@settings(max_examples=300, deadline=None)
@given(_predicates)
def test_digits_and_quotients_say_the_same(predicate: Predicate) -> None:
    digits, plain = in_digits(predicate), in_quotients()
    for a, b in itertools.product(range(-9, 30, 2), range(-9, 30, 3)):
        wanted = bool(evaluate(predicate, {"a": a, "b": b}))
        for same in (digits, plain(predicate), plain(digits)):
            assert bool(evaluate(same, {"a": a, "b": b})) == wanted


def test_digits_decide_what_quotients_do_not() -> None:
    """In boxes of 4 x 16 of a grid of 80 columns: the token of rank b is not in the first row of 20."""
    quotients = {by: Binary("//", Var("b"), Const(by)) for by in (4, 64, 1280)}
    token = reduce(
        lambda left, term: Binary("+", left, Binary("*", Const(term[1]), quotients[term[0]])),
        {4: 76, 64: -1276, 1280: 1200}.items(),
        Var("b"),
    )
    beyond = Compare(">=", token, Const(20))
    ranks = np.arange(3 * 1280)
    tokens = evaluate(token, {"b": ranks}, np)
    assert np.array_equal(np.sort(tokens), ranks)
    assert decided(beyond, {"b": (1280, 10 * 1280 - 1)}) == 0
    assert decided(in_digits(beyond), {"b": (1280, 10 * 1280 - 1)}) == 1


@pytest.mark.parametrize("step", [16, 64, 320])
def test_what_comes_again_is_seen_in_quotients(step: int) -> None:
    """Row 16 * (a // 64) + (a // 4) % 16 of a rank, and that of another: their difference, which digits hide."""
    rows = (
        Binary("+", Binary("*", Const(16), Binary("//", Var(rank), Const(64))),
               Binary("%", Binary("//", Var(rank), Const(4)), Const(16)))
        for rank in "ab"
    )  # fmt: skip
    near = Compare("<=", *rows)
    assert invariant(near, step, step) == (step % 64 == 0)
    assert invariant(in_quotients()(near), step, step)


def test_what_both_sides_share_is_seen_at_a_distance() -> None:
    """Of a window bounds of a and b tell nothing in a long box; of the distance they decide."""
    window = Compare("<=", Var("b"), Binary("+", Var("a"), Const(3)))
    box = {"a": (0, 1 << 20), "b": (0, 1 << 20), "x": (3, 3)}
    assert decided(window, box) == 0
    assert decided(at_distance(window), box) == 1
    assert decided(at_distance(window), {**box, "x": (4, 4)}) == -1


@settings(max_examples=300, deadline=None)
@given(st.one_of(_compares, _spaced), st.integers(0, 7))
def test_staircase_is_a_shifted_triangle(predicate: Predicate, c: int) -> None:
    shift = staircase(predicate, {"c": c})
    if shift is not None:
        for a, b in itertools.product(range(12), repeat=2):
            assert bool(evaluate(predicate, {"a": a, "b": b, "c": c})) == (b <= a - shift)


@pytest.mark.parametrize(
    ("predicate", "shift"),
    [
        (Compare(">=", Var("a"), Var("b")), 0),
        (Compare(">=", Var("a"), Binary("+", Var("b"), Const(3))), 3),
        (Compare("<=", Binary("+", Var("b"), Const(1)), Var("a")), 1),
        (Compare(">=", Binary("+", Var("a"), Const(1)), Var("b")), None),
        (Compare(">=", Binary("*", Const(2), Var("a")), Var("b")), None),
        (_spread(7), 0),
        (_spread(8), 1),
        (Compare(">=", Var("a"), Binary("+", Var("b"), Var("n"))), None),
    ],
)
def test_staircase_is_found(predicate: Predicate, shift: int | None) -> None:
    assert staircase(predicate, {"c": 7}) == shift


_spans = st.tuples(st.integers(-9, 9), st.integers(0, 6))


@given(_predicates, st.lists(st.tuples(_spans, _spans), min_size=1, max_size=4), st.integers(0, 3))
def test_decided_agrees_with_every_point(
    predicate: Predicate, spans: list[tuple[tuple[int, int], tuple[int, int]]], c: int
) -> None:
    low = np.array([[start for start, _ in span] for span in spans])
    high = low + np.array([[more for _, more in span] for span in spans])
    boxes = {"a": (low[:, 0], high[:, 0]), "b": (low[:, 1], high[:, 1]), "c": (c, c)}
    found = np.broadcast_to(decided(predicate, boxes), len(spans))
    for verdict, (a, b), (last_a, last_b) in zip(found, low.tolist(), high.tolist(), strict=True):
        points = itertools.product(range(a, last_a + 1), range(b, last_b + 1))
        values = {bool(evaluate(predicate, {"a": x, "b": y, "c": c})) for x, y in points}
        assert verdict == 0 or values == {verdict > 0}
        # What the walk over one box decides is decided here.
        alone = restrict(predicate, {"a": (a, last_a), "b": (b, last_b), "c": (c, c)})
        assert verdict == {TRUE: 1, FALSE: -1}.get(alone, verdict)


@given(_predicates, st.integers(-9, 9), st.integers(-9, 9))
def test_negated_holds_where_the_predicate_does_not(predicate: Predicate, a: int, b: int) -> None:
    values = {"a": a, "b": b, "c": 1}
    assert bool(evaluate(negated(predicate), values)) != bool(evaluate(predicate, values))
