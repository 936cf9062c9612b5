"""`reach ... in any layer order`, of more steps than a proof for every length tries the orders of."""

from __future__ import annotations

from itertools import permutations

import pytest

import patternc as pc
from patternc.compiler.reached import hops
from patternc.compiler.verify.oracle import claims as oracle
from patternc.compiler.verify.result import Result, Status

EARLY_FIRST = """
    step first = { (i, j) : i = 1 and j = 0 } | self
    step second = { (i, j) : i = 2 and j = 1 } | self
    step step_3 = self
    step step_4 = self
    step step_5 = self | shift(self, 9)
"""
"""All orders in which ``first`` comes first connect 2 with 0, and those are the first two dozen."""


def verdict(text: str) -> Result:
    [result] = pc.check(pc.loads(f"pattern p causal {{ {text} }}")["p"])
    return result


def test_an_order_beyond_the_first_two_dozen_fails() -> None:
    text = EARLY_FIRST + "prove reach in any layer order at n = 3"
    found = verdict(text)
    assert found.status is Status.REFUTED and found.witness is not None
    assert "in the order second, first" in found.explanation
    bound = pc.loads(f"pattern p causal {{ {text} }}")["p"].bound
    masks = oracle.step_masks(bound, found.witness.n)
    place = found.witness.query, found.witness.key
    assert not all(hops(order, len(masks))[place] for order in permutations(masks))


@pytest.mark.parametrize("at", ["", " at n = 40"])
def test_many_orders_are_refuted_by_one(at: str) -> None:
    steps = " ".join(f"step local({k})" for k in range(2, 8))
    assert verdict(f"{steps} prove reach in 2 steps in any layer order{at}").status is Status.REFUTED


def test_all_orders_of_five_steps_hold_at_a_length() -> None:
    steps = " ".join(f"step local({k})" for k in range(2, 7))
    assert verdict(f"{steps} prove reach in 6 steps in any layer order at n = 13").status is Status.CHECKED


def test_too_many_orders_are_not_decided() -> None:
    steps = " ".join(f"step local({k})" for k in range(2, 11))
    found = verdict(f"{steps} prove reach in 9 steps in any layer order at n = 9")
    assert (found.status, "orders" in found.explanation) == (Status.UNKNOWN, True)
