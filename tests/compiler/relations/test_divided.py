"""Pieces of sets as numbers, against the formulas that they come from, written in Python."""

from __future__ import annotations

import numpy as np
import pytest

from patternc.compiler.relations.divided import holds
from patternc.compiler.relations.isl.presburger import IntegerSet

CASES = {
    "v_b <= v_a < v_b + 5": lambda a, b, n: (b <= a) & (a < b + 5),
    "(v_a - v_b) mod 7 = 3 or v_b = v_n - 1": lambda a, b, n: ((a - b) % 7 == 3) | (b == n - 1),
    "floor((v_a + v_n) / 8) - floor(v_b / 3) <= 2": lambda a, b, n: (a + n) // 8 - b // 3 <= 2,
    "floor(v_a / 4) mod 3 = floor((v_b + floor(v_a / 5)) / 2) mod 3": lambda a, b, n: (
        a // 4 % 3 == (b + a // 5) // 2 % 3
    ),
    "exists v_k : v_a = 6 * v_k + v_b and 0 <= v_b < 4": lambda a, b, n: ((a - b) % 6 == 0) & (b >= 0) & (b < 4),
    "v_a < v_b and v_b < v_a": lambda a, b, n: np.zeros(np.broadcast_shapes(a.shape, b.shape), dtype=bool),
}


@pytest.mark.parametrize("formula", CASES)
def test_a_tuple_is_in_a_piece_where_the_formula_holds(formula: str) -> None:
    a, b = np.arange(-20, 60)[:, None], np.arange(-20, 60)[None, :]
    pieces = IntegerSet.parse(("a", "b"), formula, ("n",)).divided()
    for n in (1, 30, 47):
        found = holds(pieces, {"a": a, "b": b, "n": n}, (80, 80))
        assert np.array_equal(found, np.broadcast_to(CASES[formula](a, b, n), (80, 80)))
