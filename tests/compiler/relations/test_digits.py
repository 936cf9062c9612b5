"""Digits: numbers by their coordinates, and sets of them."""

from __future__ import annotations

from itertools import product

import pytest

from patternc.compiler.relations.digits import Digits
from patternc.compiler.relations.isl.presburger import IntegerSet


@pytest.mark.parametrize("moduli", [(), (1,), (4, 6), (2, 3, 6)])
def test_moduli_that_are_no_chain_have_none(moduli: tuple[int, ...]) -> None:
    assert Digits.of(moduli) is None


def test_each_pair_is_written_in_one_way() -> None:
    digits = Digits.of([24, 8, 8, 1, 4])
    assert digits is not None and digits.chain == (4, 8, 24)
    every = IntegerSet.parse(("c", "a", "b"), "v_a >= 0 and v_b >= 0")
    written = digits.write(every)
    assert written.dims == ("c", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3")
    assert digits.read(written).equals(every)
    for a, b in product((0, 3, 4, 23, 24, 77), repeat=2):
        [one] = digits.write(IntegerSet.parse(("a", "b"), f"v_a = {a} and v_b = {b}")).disjuncts()
        found = one.smallest(())
        assert found == dict(zip(one.dims, (*by_hand(a), *by_hand(b)), strict=True))
        assert digits.read(one).smallest(()) == {"a": a, "b": b}


def by_hand(number: int) -> tuple[int, int, int, int]:
    return number % 4, number // 4 % 2, number // 8 % 3, number // 24


def test_sets_hold_each_other_as_before() -> None:
    digits = Digits((5, 30))
    row, plane = (f"floor(v_a / {m}) = floor(v_b / {m}) and v_a >= 0 and v_b >= 0" for m in (5, 30))
    rows, planes = (IntegerSet.parse(("a", "b"), formula) for formula in (row, plane))
    assert digits.write(rows) <= digits.write(planes)
    assert not digits.write(planes) <= digits.write(rows)
    assert digits.read(digits.write(planes) - digits.write(rows)).equals(planes - rows)
