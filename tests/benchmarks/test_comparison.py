"""Who is timed, and what is said of who is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

SETTINGS = {"device": "cpu", "dtype": "float32", "batch": 1, "heads": 2, "head_dim": 16, "n": 200, "rounds": 2}


@pytest.fixture
def compared(benchmark_modules):
    """The result of a comparison of stand-ins over the case ``dense``, each a name and what it does when prepared."""
    comparison, cases, estimate = (benchmark_modules(name) for name in ("comparison", "cases", "estimate"))

    def run(prepare, *, history=None, limits=None, available=None, settings=SETTINGS):
        contestants = [
            SimpleNamespace(
                name=name,
                available=lambda device, dtype, name=name: (available or {}).get(name),
                computes=lambda case: case,
                prepare=lambda case, inputs, does=does: does(inputs),
            )
            for name, does in prepare.items()
        ]
        subject = comparison.Comparison(
            settings, contestants, history or estimate.History(), limits or comparison.Limits()
        )
        return subject.run([cases.DENSE_CAUSAL], 2)

    return run


@pytest.fixture
def prepared(benchmark_modules):
    return benchmark_modules("contestants.contestant").Prepared


def right(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def wrong(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def raises(inputs):
    raise ValueError("no such layout\nand more")


def test_what_is_wrong_or_fails_is_named_and_not_timed(compared, prepared):
    result = compared(
        {
            "right": lambda inputs: prepared(right, inputs, missing={"decode": "it keeps no cache"}),
            "wrong": lambda inputs: prepared(wrong, inputs),
            "failing": raises,
            "absent": raises,
        },
        available={"absent": "not installed"},
    )
    assert {(row["contestant"], row["pass"]) for row in result["seconds"]} == {
        ("right", "forward"),
        ("right", "forward+backward"),
    }
    reasons = {(row["contestant"], row["pass"]): row["reason"] for row in result["left_out"]}
    assert reasons["right", "decode"] == "it keeps no cache"
    assert reasons["wrong", "forward"].startswith("WRONG: wrong, dense, forward: ")
    assert reasons["failing", ""] == "FAILED: ValueError: no such layout"
    assert reasons["absent", ""] == "not installed"


def test_ratios_are_against_ours_with_what_comes_before_and_without(compared, prepared):
    calls = []

    def rival(inputs):
        return prepared(
            right, inputs, extra={"mask": lambda: calls.append(1)}, before={"forward": "mask"}
        )  # its backward needs no mask

    result = compared({"rival": rival, "ours, x": lambda inputs: prepared(right, inputs)})
    rows = {(row["pass"], row["rival"]): row for row in result["ratios"]}
    assert set(rows) == {("forward", "rival"), ("forward", "rival + mask"), ("forward+backward", "rival")}
    assert rows["forward", "rival + mask"]["median"] >= rows["forward", "rival"]["median"] > 0
    assert calls and all(row["contestant"] == "ours, x" and row["count"] == 2 for row in result["ratios"])


def test_what_would_take_too_long_is_left_out_with_the_estimate(benchmark_modules, compared, prepared):
    history = benchmark_modules("estimate").History()
    limits = benchmark_modules("comparison").Limits(call=60.0)
    history.add(("dense", "forward", "slow"), 100, 100.0)
    history.add(("dense", "forward+backward", "half"), 100, 100.0)
    result = compared({"slow": raises, "half": lambda inputs: prepared(right, inputs)}, history=history, limits=limits)
    assert [row["pass"] for row in result["seconds"]] == ["forward"]
    left_out = {(row["contestant"], row["pass"]): row for row in result["left_out"]}
    assert left_out["slow", ""]["reason"] == "its forward would take about 3.3 minutes a call"
    assert left_out["half", "forward+backward"]["estimated_seconds"] == pytest.approx(200)
    assert history.estimate(("dense", "forward", "half"), 200) == result["seconds"][0]["median"]  # it has learned


def test_what_does_not_fit_the_memory_is_left_out_before_it_is_drawn(benchmark_modules, compared):
    limits = benchmark_modules("comparison").Limits(memory=1e-9)
    result = compared({"large": raises}, limits=limits)
    assert not result["seconds"] and "GiB are free" in result["left_out"][0]["reason"]


def test_estimates(benchmark_modules):
    history = benchmark_modules("estimate").History()
    key = ("a", "forward", "b")
    assert history.estimate(key, 100) is None
    history.add(key, 1000, 1.0)
    assert history.estimate(key, 2000) == pytest.approx(2)  # nothing is known of how it grows
    history.add(key, 2000, 3.9)
    assert history.estimate(key, 4000) == pytest.approx(3.9**2)
    history.add(key, 4000, 1.0)  # noise: nothing takes less time on more tokens
    assert history.estimate(key, 8000) == pytest.approx(2)


def test_every_other_round_is_reversed(benchmark_modules):
    clock = benchmark_modules("patternc.runtime.bench.clock")
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = clock.interleaved(runs, dict.fromkeys(runs, 1), 3)
    assert "".join(order) == "abccbaabc" and all(len(values) == 3 for values in seconds.values())


def test_goals_hold_for_one_setting(benchmark_modules):
    """A target of milliseconds is missed by what was not timed, and one of a ratio by what has no rival."""
    attention, cases = benchmark_modules("attention"), benchmark_modules("cases")
    case = next(case for case in cases.CASES if case.name == "sliding_window(4096)")
    strided = cases.CASES[0]
    settings = {name: getattr(cases.H100, name) for name in ("device", "dtype", "batch", "heads", "head_dim", "n")}
    times = [{"pattern": strided.name, "pass": "forward+backward", "contestant": "ours, triton", "median": 0.0085}]
    ratio = {"pattern": case.name, "pass": "forward", "contestant": "ours, triton", "rival": "flex", "median": 1.2}
    result = {"settings": settings, "seconds": times, "ratios": [ratio]}
    found = attention.targets_of(result, [strided, case])
    assert [(target.wanted, target.met) for target in found] == [(9, True), (1, True), (1, False)]
    assert attention.targets_of(result | {"settings": settings | {"n": 1024}}, [strided, case]) == []
    missing = attention.targets_of(result | {"seconds": []}, [strided])
    assert [target.met for target in missing] == [False]


def test_the_drawn_blocks_are_written_twice(benchmark_modules):
    """Of BigBird the formula has a table, which is not patternc's own."""
    table = benchmark_modules("cases").drawn_blocks(40, 3)
    assert table.sum(1).eq(3).all() and not torch.equal(table[0], table[1])
