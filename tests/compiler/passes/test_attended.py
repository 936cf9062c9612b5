"""Which keys some queries attend to, against the definition: where they are looked for one by one, and in arrays."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import pattern

from patternc.compiler import bruteforce
from patternc.compiler.passes.split import attended, spread
from patternc.compiler.relations.denote import denote
from patternc.patterns_dsl.syntax import Direction

N = 331

EXPRESSIONS = (
    "local(9)",  # in few keys
    "everything",
    "strided(48)",
    "local(5) | { (i, j) : i mod 12 = 0 and j mod 12 = 0 and i div 96 = j div 96 }",
    "{ (i, j) : 2 * j = i or 3 * j = i + 1 }",  # keys that are told by equations
    "{ (i, j) : n - 7 <= j or i + j = n }",
    "{ (i, j) : j < 0 }",
)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_attended(expression: str, direction: Direction) -> None:
    if direction is Direction.CROSS:
        expression = expression.replace("n - 7", "nk - 7").replace("= n ", "= nk ")
    bound = pattern(expression, direction).bound
    queries = np.array([0, 1, 3, 96, 97, 180, 330])
    wanted = bruteforce.mask(bound.union, direction, N)[queries]
    assert np.array_equal(attended(denote(bound.union, direction), queries, N), wanted)


def test_spread() -> None:
    places, numbers = spread(np.array([3, 9, 0]), np.array([5, 4, 1]))
    assert list(zip(places.tolist(), numbers.tolist(), strict=True)) == [(0, 3), (0, 4), (2, 0)]
