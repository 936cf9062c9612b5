"""Closed forms against enumeration."""

from __future__ import annotations

import itertools

import pytest

from patternc.compiler.relations.integer import FALSE, TRUE, evaluate
from patternc.compiler.relations.isl.context import BudgetExceeded, budget
from patternc.compiler.relations.isl.presburger import IntegerSet


@pytest.mark.parametrize(
    "formula",
    [
        "0 <= v_J <= floor(v_I / 16)",
        "v_I - 8 <= v_J <= v_I",
        "v_J = 2 * v_I + 1 or v_J = 2 * v_I + 4",
        "v_I mod 3 = 1 and v_I <= v_J < v_I + 5",
        "v_J >= v_I and v_J < v_T",
        "v_I >= 7 and v_J = 0",
    ],
)
def test_interval_is_the_hull(formula: str) -> None:
    context = IntegerSet.parse(("I",), "v_I >= 0 and v_T >= 1", ("T",))
    tiles = IntegerSet.parse(("I", "J"), f"({formula}) and v_I >= 0 and v_J >= 0", ("T",))
    lo, hi = tiles.interval("J", context)
    for bound in (1, 5, 40):
        for index in range(40):
            inside = [j for j in range(200) if _holds(formula, index, j, bound)]
            got = [max(0, evaluate(edge, {"I": index, "T": bound})) for edge in (lo, hi)]
            if inside:
                assert got == [inside[0], inside[-1] + 1]
            else:
                assert got[0] >= got[1]


def _holds(formula: str, i: int, j: int, t: int) -> bool:
    python = formula.replace("v_", "").replace("mod", "%").replace("floor(I / 16)", "I // 16")
    python = python.replace(" = ", " == ").replace("<==", "<=")
    return bool(eval(python, {"I": i, "J": j, "T": t}))


def test_predicate_is_true_false_or_exact() -> None:
    space = IntegerSet.parse(("a", "b"), "v_a >= 0 and v_b >= 0")
    assert space.predicate(space) == TRUE
    assert (space - space).predicate(space) == FALSE
    odd = IntegerSet.parse(("a", "b"), "(v_a - v_b) mod 2 = 1 and v_b <= v_a")
    keep = odd.predicate(space)
    assert all(evaluate(keep, {"a": a, "b": b}) == (b <= a and (a - b) % 2 == 1) for a in range(9) for b in range(9))


def test_unbounded_dimensions_are_seen() -> None:
    # The bound through the quotient is none: any I is possible for a given J.
    tiles = IntegerSet.parse(("I", "J"), "v_I >= 0 and v_J >= 0 and exists (e : 3 * v_J <= 2 * e + 7 and e <= v_I)")
    assert not tiles.bounded("I")
    assert tiles.bounded("J")


def test_moduli_are_the_periods_of_the_formula() -> None:
    pairs = IntegerSet.parse(("i", "j"), "(v_i - v_j) mod 12 = 5 and floor(v_i / 7) = floor(v_j / 7)")
    assert {7, 12} <= set(pairs.moduli)


def test_smallest_is_lexicographic_in_parameters_first() -> None:
    pairs = IntegerSet.parse(("i", "j"), "0 <= v_j < v_i < v_n and v_i mod 5 = 4", ("n",))
    assert pairs.smallest(("n",)) == {"n": 5, "i": 4, "j": 0}
    assert (pairs - pairs).smallest(("n",)) is None


def test_a_budget_stops_a_proof_and_leaves_the_context_usable() -> None:
    formula = " and ".join(f"(v_i * {k} + v_j) mod {k + 11} != {k}" for k in range(1, 5))

    def explode() -> None:
        with budget(20_000):
            hard = IntegerSet.parse(("i", "j"), formula)
            (hard.complement() - hard.rename({"i": "j", "j": "i"})).onto(("i",)).complement().smallest(())

    with pytest.raises(BudgetExceeded):
        explode()
    with budget():
        assert IntegerSet.parse(("i",), "v_i = 3").smallest(()) == {"i": 3}


def test_floors_of_differences_are_printed_as_they_are() -> None:
    """isl 0.27 can turn floor((n - a - 1) / 5) into a % 5, without n, when it is asked to prefer remainders."""
    space = IntegerSet.parse(("a", "b"), "v_a >= 0 and v_b >= 0")
    floor = "floor((v_n - v_a - 1) / 5)"
    pairs = IntegerSet.parse(
        ("a", "b"),
        f"5 * {floor} >= 5 - v_a and v_b + 3 * {floor} >= v_a + 8 * floor((v_b - v_a + 3 * {floor} - 1) / 8) + 6",
        ("n",),
    )
    keep = pairs.predicate(space)
    for n, a, b in itertools.product(range(1, 14), range(12), range(12)):
        steps = (n - a - 1) // 5
        expected = 5 * steps >= 5 - a and b + 3 * steps >= a + 8 * ((b - a + 3 * steps - 1) // 8) + 6
        assert evaluate(keep, {"a": a, "b": b, "n": n}) == expected


def test_a_budget_may_end_anywhere() -> None:
    """Also while isl prints a number, which gives islpy no error but nothing to read."""
    numbers = IntegerSet.parse(("i",), "v_i >= 5 and v_i mod 7 = 3 and v_i <= v_n", ("n",))
    ended = 0
    for operations in range(1, 2000):
        try:
            with budget(operations):
                found = numbers.smallest(("n",))
        except BudgetExceeded:
            ended += 1
        else:
            assert found == {"n": 10, "i": 10}
            break
    assert ended > 100
