"""How far apart ranks tell something, against all ranks of sequences of many periods."""

from __future__ import annotations

import numpy as np
import pytest

from patternc.compiler.relations.differences import Counted, ends, farthest, lacking
from patternc.compiler.relations.integer import (
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
)

A, B, N = Var("a"), Var("b"), Var("n")
PERIOD = 6
COUNTED = {name: Counted(name.upper(), PERIOD, 0, PERIOD - 1) for name in "abn"}


def plus(left: Expr, right: Expr | int) -> Expr:
    return Binary("+", left, Const(right) if isinstance(right, int) else right)


def minus(left: Expr, right: Expr) -> Expr:
    return Binary("-", left, right)


def quotient(x: Expr, by: int) -> Expr:
    return Binary("//", x, Const(by))


WINDOW = All((Compare("<=", minus(A, B), Const(7)), Compare("<=", minus(B, A), Const(9))))
FAR: dict[str, Predicate] = {
    "window": WINDOW,
    "rows": Compare("==", quotient(A, 3), quotient(plus(B, 5), 3)),
    "last": Compare("<=", quotient(plus(N, -1), 6), quotient(plus(B, 8), 6)),
    "choice": Compare("<", Select(Compare(">=", plus(A, 14), N), plus(A, -3), plus(A, 4)), B),
    "least": Compare("<=", Binary("min", plus(A, 10), plus(N, -4)), B),
    # What would tell twice A from B is asked of the first rows alone.
    "first rows": All((Compare("<=", A, Const(11)), Compare("<=", Binary("*", Const(2), A), B))),
    "place": Compare(">=", Binary("%", plus(A, Binary("*", Const(2), quotient(B, 2))), Const(6)), Const(3)),
    "cases": AnyOf((WINDOW, Compare(">=", B, plus(N, -4)), Compare("<", A, Const(8)))),
}


@pytest.mark.parametrize("name", FAR)
def test_ranks_that_are_as_far_apart_are_told_alike(name: str) -> None:
    far = farthest([FAR[name]], COUNTED)
    assert far is not None
    told: dict[bytes, bool] = {}
    for periods in (3 * far + 3, 3 * far + 5):
        number, place = np.arange(periods + 1), np.arange(PERIOD)
        first, second, r, s, t = (each.ravel() for each in np.meshgrid(number, number, place, place, place))
        values = {"a": PERIOD * first + r, "b": PERIOD * second + s, "n": PERIOD * periods + t}
        found = np.broadcast_to(evaluate(FAR[name], values, np), first.shape)
        apart = np.stack([first, second, periods - first, periods - second, first - second])
        kinds = np.stack([*np.clip(apart, -far - 1, far + 1), r, s, t], axis=1)
        for kind, value in zip(map(bytes, kinds.astype(np.int8)), found.tolist(), strict=True):
            assert told.setdefault(kind, value) == value


@pytest.mark.parametrize(
    "predicate",
    [
        Compare("<=", Binary("*", Const(2), A), B),
        Compare("<=", plus(A, B), N),
        All((Compare(">=", A, Const(11)), Compare("<=", Binary("*", Const(2), A), B))),
    ],
)
def test_what_compares_more_than_two_is_not_told(predicate: Predicate) -> None:
    assert farthest([predicate], COUNTED) is None


def test_periods_are_made_multiples_of_what_is_divided_by() -> None:
    odd = Compare("==", quotient(A, 4), quotient(B, 9))
    assert farthest([odd], COUNTED) is None
    assert lacking([odd], COUNTED) == 6
    assert lacking([WINDOW], COUNTED) == 1


def test_ends_are_those_of_any_length() -> None:
    near_end = Binary("max", minus(Const(0), A), minus(minus(N, A), Const(9)))
    low, high = ends(near_end, COUNTED)
    assert low is not None
    assert low <= -9
    assert high is None
    assert ends(Select(Compare(">", A, B), Const(4), Const(-2)), COUNTED) == (-2, 4)
    assert ends(A, COUNTED) == (0, None)
