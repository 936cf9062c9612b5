"""Tapes: their values are those of the expressions, and what is proved of a stretch holds at each of its values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from patternc.compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Select, Var, evaluate
from patternc.compiler.relations.tape import Tape

SMALL = st.integers(-9, 40).map(Const)
NAMES = st.sampled_from(["I", "n", "d"]).map(Var)
DIVISORS = st.integers(1, 7).map(Const)


def extended(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    compared = st.builds(Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner, inner)
    parts = st.lists(compared, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-", "min", "max", "*"]), inner, inner),
        st.builds(Binary, st.sampled_from(["//", "%"]), inner, DIVISORS),
        st.builds(Select, st.one_of(compared, st.builds(All, parts), st.builds(AnyOf, parts)), inner, inner),
    )


EXPRESSIONS = st.recursive(st.one_of(SMALL, NAMES), extended, max_leaves=12)
STEPS = np.arange(-2, 5, dtype=np.int64)


@given(EXPRESSIONS, st.integers(0, 60), st.integers(0, 12), st.integers(2, 9), st.integers(1, 4))
def test_values_and_proofs(expr: Expr, n: int, begin: int, length: int, step: int) -> None:
    """Three stretches, each one value longer than the one before."""
    tape = Tape.of((expr,), ("n", "I", "d"), "I", "d")
    firsts, gaps = begin + np.arange(3, dtype=np.int64) * length * step, length - 1 + np.arange(3, dtype=np.int64)
    every = firsts + np.arange(length + 2)[:, None] * step  # [values, stretches], of which some are beyond the last
    at = {"n": n, "d": STEPS[:, None, None]}
    wanted = [[[evaluate(expr, {"n": n, "I": int(i), "d": int(d)}) for i in row] for row in every] for d in STEPS]
    values = np.array(wanted).reshape(len(STEPS), length + 2, 3)

    [single], _ = tape.at({**at, "I": every.reshape(1, -1)})
    assert np.array_equal(np.broadcast_to(single, (len(STEPS), 1, every.size)).reshape(values.shape), values)

    [ends], proved = tape.at({**at, "I": np.stack([firsts, firsts + gaps * step])}, gaps)
    ends = np.broadcast_to(ends, (len(STEPS), 2, 3))
    for stretch, count in enumerate(gaps + 1):
        own = values[:, :count, stretch]
        assert np.array_equal(ends[..., stretch], own[:, [0, -1]])
        rise = (own[:, -1:] - own[:, :1]) * np.arange(count)
        assert not proved[stretch] or ((own - own[:, :1]) * (count - 1) == rise).all()


def test_a_line_is_proved_to_be_one() -> None:
    def proved(expr: Expr, first: int, last: int) -> bool:
        tape, ends = Tape.of((expr,), ("I",), "I"), np.array([[first], [last]])
        return bool(tape.at({"I": ends}, np.array([last - first]))[1].all())

    i = Var("I")
    assert proved(Binary("max", Const(0), Binary("-", i, Const(3))), 3, 90)
    assert not proved(Binary("max", Const(0), Binary("-", i, Const(3))), 2, 90)
    assert proved(Binary("//", i, Const(100)), 100, 199) and not proved(Binary("//", i, Const(100)), 100, 200)
    assert proved(Binary("%", Binary("*", i, Const(8)), Const(4)), 0, 9) and not proved(Binary("%", i, Const(4)), 0, 9)
    assert not proved(Select(Compare("==", i, Const(5)), Const(1), Const(0)), 0, 9)


@given(EXPRESSIONS, st.integers(0, 60), st.integers(-3, 40), st.integers(-2, 5))
def test_values_of_numbers(expr: Expr, n: int, begin: int, step: int) -> None:
    values = {"n": n, "I": begin, "d": step}
    assert Tape.of((expr,), ("n", "I", "d"), "I").of_numbers(values) == [evaluate(expr, values)]
