"""A ceiling ends work as a whole, where a budget that is used up leads on to something else."""

from __future__ import annotations

import pytest

import patternc as pc
from patternc.compiler.ceiling import Heavier, ceiling
from patternc.compiler.effort import TooLong, allowance, spend
from patternc.compiler.relations.isl.context import BudgetExceeded, budget
from patternc.compiler.relations.isl.presburger import IntegerSet
from patternc.compiler.verify import guard
from patternc.compiler.verify.result import Status


def hard() -> IntegerSet:
    """A set that takes some thousand operations, and is made anew every time."""
    found = IntegerSet.parse(("i",), "true")
    for modulus in (7, 11, 13, 17):
        found = found - IntegerSet.parse(("i",), f"v_i mod {modulus} = 0")
    return found


def test_a_budget_that_is_used_up() -> None:
    with pytest.raises(BudgetExceeded), budget(100):
        hard()
    with budget():
        hard()


def test_a_ceiling_below_a_budget() -> None:
    with pytest.raises(Heavier) as raised, ceiling(100, 1000), budget():
        hard()
    assert raised.value.seconds >= 0
    with budget():
        hard()  # it is gone


def test_a_budget_below_a_ceiling_is_a_budget() -> None:
    with pytest.raises(BudgetExceeded), ceiling(1000, 1000), budget(100):
        hard()


def test_places_are_counted_over_all_allowances() -> None:
    with pytest.raises(TooLong), ceiling(1000, 1000), allowance(10):
        spend(11)

    def thrice() -> None:
        for _ in range(3):
            with allowance(500):
                spend(400)

    thrice()
    with pytest.raises(Heavier), ceiling(1000, 1000):
        thrice()


def test_what_is_too_heavy_here_is_decided_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "pattern p causal { step near = local(3) step far = strided(3) prove reach in 2 steps prove keys <= 2 }"
    here = pc.check(pc.loads(text)["p"])
    assert [result.status for result in here] == [Status.PROVED, Status.REFUTED]
    asked: list[tuple[int, ...]] = []
    answers = guard._answers
    monkeypatch.setattr(
        guard,
        "_answers",
        lambda worker, bound, numbers, end: (asked.append(numbers), answers(worker, bound, numbers, end))[1],
    )
    monkeypatch.setattr(guard, "CEILINGS", ((10, 10),))
    assert pc.check(pc.loads(text)["p"]) == here
    assert asked == [(0, 1)]


def test_a_claim_that_is_stopped_keeps_no_other_from_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "pattern p causal { step { (i, j) : i mod 1000003 = j mod 999983 and (i + j) mod 998244353 < 5 }"
    monkeypatch.setattr(guard, "CEILINGS", ())
    monkeypatch.setattr(guard, "TIME_LIMIT", 4.0)
    results = pc.check(pc.loads(f"{text} prove keys <= 1 prove causal }}")["p"])
    assert [result.status for result in results] == [Status.UNKNOWN, Status.PROVED]
