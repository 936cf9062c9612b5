"""How residues of keys hang on those of queries, beside all pairs of a short sequence."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
from expressions import pattern

from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.order import Turn
from patternc.compiler.passes.turns import fewer, shifts
from patternc.compiler.relations.isl.presburger import IntegerSet
from patternc.patterns_dsl.syntax import Direction
from patternc.testing.verify.program import pair_counts


def formula(text: str) -> IntegerSet:
    return IntegerSet.parse(("i", "j"), f"v_i >= 0 and v_j >= 0 and {text}")


@pytest.mark.parametrize(
    ("text", "modulus", "expected"),
    [
        ("(v_i - v_j) mod 8 = 0", 8, {Turn(0)}),
        ("(v_i - v_j) mod 8 = 3", 8, {Turn(5)}),
        ("(v_i - v_j) mod 8 <= 1", 8, {Turn(0), Turn(7)}),
        ("(v_i + 2 * v_j) mod 7 = 3", 7, {Turn(5, 3)}),
        ("(v_i + v_j) mod 16 = 5", 16, {Turn(5, 15)}),
        ("(v_i + v_j) mod 16 = 5 and v_i - v_j <= 100 and v_j <= v_i", 16, {Turn(5, 15)}),
        ("(v_i + v_j) mod 100 <= 1", 100, {Turn(0, 99), Turn(1, 99)}),
        ("(v_i + 2 * v_j) mod 30 = 0", 30, set()),  # of odd queries no key: there is no way back
        ("(v_i + v_j) mod 7 <= 4", 7, {Turn(shift, 6) for shift in range(5)}),
        ("v_j <= v_i", 7, {Turn(shift) for shift in range(7)}),
        ("v_i mod 32 <= 20 and v_j mod 32 <= 20", 32, set()),
    ],
)
def test_turns(text: str, modulus: int, expected: set[Turn]) -> None:
    found = fewer(formula(text), modulus, shifts(formula(text), modulus))
    assert set(found) == expected and len(found) == len(expected)


@pytest.mark.parametrize("modulus", [5, 8, 12])
def test_each_class_is_led_to_from_one(modulus: int) -> None:
    classes = np.arange(modulus)
    for factor in (factor for factor in range(1, modulus) if gcd(factor, modulus) == 1):
        for shift in range(modulus):
            turn = Turn(shift, factor)
            assert sorted(turn.of(classes, modulus).tolist()) == classes.tolist()
            assert turn.back(modulus).of(turn.of(classes, modulus), modulus).tolist() == classes.tolist()


@pytest.mark.parametrize(("a", "b", "modulus", "rest"), [(1, 2, 7, 3), (1, 1, 16, 5), (3, 1, 64, 5)])
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_one_term_computes_each_pair_once(a: int, b: int, modulus: int, rest: int, direction: str) -> None:
    """By differences of residues alone there are as many terms as classes, or all pairs in one."""
    step = f"{{ (i, j) : ({a} * i + {b} * j) mod {modulus} = {rest} }}"
    bound = pattern(step, Direction(direction)).bound
    program = lower(bound.union, bound.direction, "drawn").program
    (term,) = program.terms
    assert term.query == term.key and term.query.classes == modulus and term.turn.factor > 1
    i, j = np.ogrid[:150, :150]
    related = ((a * i + b * j) % modulus == rest) & ((j <= i) | (direction == "bidirectional"))
    for side in ("forward", "backward"):
        assert np.array_equal(pair_counts(program, side, 150), related)
