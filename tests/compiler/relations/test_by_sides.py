"""What is said of queries apart from what is said of keys: the same pairs."""

from __future__ import annotations

import numpy as np
import pytest

from patternc.compiler.relations.by_sides import by_sides
from patternc.compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Predicate, Var, evaluate, variables

A, B, N = Var("a"), Var("b"), Var("n")


def times(factor: int, x: Binary | Var) -> Binary:
    return Binary("*", Const(factor), x)


def quotient(x: Binary | Var, by: int) -> Binary:
    return Binary("//", x, Const(by))


APART = {
    "window": Compare("<", Binary("-", A, B), Const(5)),
    "blocks": Compare(">=", Binary("-", B, times(4, quotient(A, 4))), Const(-4)),
    "of keys alone": Compare("==", Binary("%", B, Const(3)), Const(1)),
    "of the length": Compare("!=", Binary("+", A, times(2, B)), Binary("-", N, Const(7))),
    "nested": AnyOf((All((Compare("<=", A, times(3, B)), Compare(">", B, Const(2)))), Compare("<", B, A))),
}


@pytest.mark.parametrize("predicate", APART.values(), ids=APART)
def test_each_side_speaks_of_one_and_both_say_the_same(predicate: Predicate) -> None:
    found = by_sides(predicate)
    values = {"a": np.arange(30)[:, None], "b": np.arange(25)[None, :], "n": 30}
    wanted, kept = (np.broadcast_to(evaluate(each, values, np), (30, 25)) for each in (predicate, found))
    assert np.array_equal(kept, wanted) and wanted.any() and not wanted.all()

    def check(node: Predicate) -> None:
        if isinstance(node, Compare):
            assert "b" not in variables(node.left) and "a" not in variables(node.right)
        else:
            for part in node.parts:
                check(part)

    check(found)


def test_what_speaks_of_both_stays_whole() -> None:
    predicate = Compare("<", Binary("+", quotient(Binary("+", A, B), 4), A), Const(6))
    found = by_sides(predicate)
    values = {"a": np.arange(9)[:, None], "b": np.arange(7)[None, :]}
    assert np.array_equal(evaluate(found, values, np), evaluate(predicate, values, np))
    assert isinstance(found, Compare) and variables(found.left) == {"a"} and variables(found.right) == {"a", "b"}
