"""Keys per query in closed form, against counting them."""

from __future__ import annotations

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.bruteforce import mask
from patternc.compiler.relations.count import Uncountable, row_counts
from patternc.compiler.relations.functions import IntegerFunction, greatest, least
from patternc.compiler.relations.integer import evaluate
from patternc.compiler.relations.isl.presburger import IntegerSet
from patternc.compiler.relations.periods import occupied
from patternc.compiler.relations.relation import universe
from patternc.compiler.verify.properties.keys import live_count, live_keys

LENGTHS = (1, 2, 3, 7, 12, 31, 64, 101)

COUNTABLE = [
    ("causal", "local(5)"),
    ("causal", "block(4) | fixed(4, 1)"),
    ("causal", "local(3) | strided(5)"),
    ("causal", "strided(3) & local(9)"),
    ("causal", "columns(first(2)) | (local(6) - self)"),
    ("causal", "{ (i, j) : i - j < n div 4 }"),
    ("causal", "{ (i, j) : (i - j) mod 6 in {0, 2..3} }"),
    ("causal", "{ (i, j) : j mod 5 = 0 or exists k in 0..5 : i - j = 2^k }"),
    ("causal", "blocks(strided(3), 4)"),
    ("causal", "dilate(local(3), 4)"),
    ("bidirectional", "local(4) | global(first(2))"),
    ("bidirectional", "columns(last(3)) - block(4)"),
    ("bidirectional", "not local(3)"),
    ("bidirectional", "{ (i, j) : j >= i + 3 and i < 9 }"),
    ("bidirectional", "{ (i, j) : abs(i - j) mod 3 = 1 }"),
    ("bidirectional", "{ (i, j) : exists k : i - j = 2 * k and j - 3 * k >= 0 and (j + k) mod 4 = 1 }"),
]

GRIDS = [
    ("causal", "{ (i, j) : i.x = j.x or i.y = j.y }"),
    ("causal", "{ (i, j) : abs(i.x - j.x) <= 1 and abs(i.y - j.y) <= 1 }"),
    ("bidirectional", "{ (i, j) : abs(i.x - j.x) <= 2 and abs(i.y - j.y) <= 1 }"),
    ("bidirectional", "{ (i, j) : abs(j.x - max(1, min(i.x, 4))) <= 1 and abs(j.y - i.y) <= 2 }"),
]


def pattern(direction: str, step: str, grid: str = "") -> pc.Pattern:
    return pc.loads(f"pattern p {direction} {grid} {{ step {step} }}")["p"]


def counted(function: IntegerFunction, direction: str, n: int) -> np.ndarray:
    closed = function.closed_form(universe(direction).queries)
    return np.broadcast_to(evaluate(closed, {"i": np.arange(n), "n": n}, np), (n,))


@pytest.mark.parametrize(
    ("direction", "step", "grid"),
    [*((*case, "") for case in COUNTABLE), *((*case, "grid(y, x = 6)") for case in GRIDS)],
)
def test_keys_of_each_query(direction: str, step: str, grid: str) -> None:
    found = pattern(direction, step, grid)
    function = row_counts(found.relation.pairs, universe(found.direction).queries)
    for n in LENGTHS:
        expected = mask(found.union.expression, found.direction, n).sum(axis=1)
        assert np.array_equal(counted(function, found.direction, n), expected), n
        most = function.greatest("i").closed_form(IntegerSet.parse((), "v_n >= 1", ("n",)))
        assert evaluate(most, {"n": n}) == expected.max()


def test_what_has_no_closed_form_is_not_counted() -> None:
    """The live keys of strided(l) are (n - i) residues times i div l numbers: a product of two unknowns."""
    found = pattern("causal", "strided(4)")
    with pytest.raises(Uncountable):
        row_counts(live_keys(found.relation), universe(found.direction).queries)


@pytest.mark.parametrize("step", [step for direction, step in COUNTABLE if direction == "causal"])
def test_live_keys(step: str) -> None:
    found = pattern("causal", step)
    counts = live_count(found.relation)
    for n in LENGTHS:
        attended = mask(found.union.expression, found.direction, n)
        live = np.array([sum(attended[i:, j].any() for j in range(i + 1)) for i in range(n)])
        rows = counted(counts.function, found.direction, n)
        assert np.array_equal(rows, live) if counts.exact else (rows >= live).all(), n


def test_live_keys_of_a_sequence_that_ends() -> None:
    """strided(l): at query i every key of a residue that is still to come; at the last query one in l."""
    live = live_keys(pattern("causal", "strided(4)").relation)
    at = live & IntegerSet.parse(("i", "j"), "v_n = 12 and v_i = 11", ("n",))
    assert occupied(at, "j", 4, 4) == ((3, 1),)


def test_functions_of_positions() -> None:
    numbers = IntegerSet.parse(("i", "x"), "0 <= v_i < v_n and v_i <= v_x < 2 * v_i + 3", ("n",))
    low, high = least(numbers, "x"), greatest(numbers, "x")
    domain = IntegerSet.parse(("i",), "0 <= v_i < v_n", ("n",))
    values = [evaluate((high - low + 1).closed_form(domain), {"i": i, "n": 9}) for i in range(9)]
    assert values == [i + 3 for i in range(9)]
    assert (low % 4).values(4) == (0, 1, 2, 3)
    assert (low % 4).values(3) is None
    assert (low // 5).equal_to(1).smallest(("n",)) == {"n": 6, "i": 5}
    assert high.above(low + 7).smallest(("n",)) == {"n": 7, "i": 6}
    assert evaluate(high.greatest("i").closed_form(IntegerSet.parse((), "v_n >= 1", ("n",))), {"n": 10}) == 20


def test_occupied_residues() -> None:
    numbers = IntegerSet.parse(("x",), "(v_x mod 6 = 1 or v_x mod 6 = 2 or v_x mod 6 = 4) and 0 <= v_x < v_n", ("n",))
    assert occupied(numbers, "x", 6, 2) == ((1, 2), (4, 1))
    assert occupied(numbers, "x", 6, 1) is None
    assert occupied(numbers, "x", 3, 1) == ((1, 2),)
    assert occupied(numbers.complement(), "x", 1, 1) == ((0, 1),)
