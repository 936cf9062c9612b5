"""Proofs are bounded: what is large, or has taken long, is decided in a process with limits."""

from __future__ import annotations

import pytest

import patternc as pc
from patternc.compiler.verify import guard, process
from patternc.compiler.verify.result import Status

TEXT = """
pattern p causal { step near = local(3) step far = strided(3)
    prove nonempty prove reach in 2 steps prove keys <= 2 prove not reach }
plan x { layers all : p interleaved prove reach in 2 layers prove reach in 1 layer }
"""


def test_a_process_of_its_own_gives_the_same_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pc.loads(TEXT.replace("prove not reach }", "}"))
    here = [pc.check(module["p"]), pc.check(module.plans["x"])]
    monkeypatch.setattr(guard, "LARGE", 0)
    apart = [pc.check(module["p"]), pc.check(module.plans["x"])]
    assert apart == here
    assert [result.status for result in here[0]] == [Status.PROVED, Status.PROVED, Status.REFUTED]


def test_what_is_left_goes_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pc.loads(TEXT.replace("prove not reach }", "}"))
    here = pc.check(module["p"])
    monkeypatch.setattr(guard, "PATIENCE", -1.0)
    assert pc.check(module["p"]) == here


def test_a_process_that_is_stopped_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGE", 0)
    monkeypatch.setattr(guard, "TIME_LIMIT", 0.0)
    results = pc.check(pc.loads(TEXT.replace("prove not reach }", "}"))["p"])
    assert [result.status for result in results] == [Status.UNKNOWN, Status.UNKNOWN, Status.REFUTED]  # at n = 3
    assert all("stopped after" in result.explanation for result in results[:2])
    assert [result.text for result in results] == ["nonempty", "reach in 2 steps", "keys <= 2"]


def test_the_time_that_a_process_takes_to_start_is_not_the_claims_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a start took longer than a claim's share, and each claim was UNKNOWN after it."""
    monkeypatch.setattr(guard, "LARGE", 0)
    monkeypatch.setattr(guard, "TIME_LIMIT", 100.0)  # the share of each claim is not what is tested
    clock, start = [0.0], process.Process.__init__

    def slowly(self: process.Process) -> None:
        start(self)
        clock[0] += 1000.0

    monkeypatch.setattr(process.Process, "__init__", slowly)
    monkeypatch.setattr(guard.time, "monotonic", lambda: clock[0])
    process._end_all()
    results = pc.check(pc.loads(TEXT.replace("prove not reach }", "}"))["p"])
    assert [result.status for result in results] == [Status.PROVED, Status.PROVED, Status.REFUTED]


def test_small_lengths_refute_a_claim_whose_proof_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGE", 0)
    monkeypatch.setattr(guard, "TIME_LIMIT", 0.0)
    text = "pattern p causal { step near = local(3) prove nonempty prove reach in 2 steps prove keys <= 2 at n = 9 }"
    proved, refuted, stated = pc.check(pc.loads(text)["p"])
    assert (refuted.status, str(refuted.witness)) == (Status.REFUTED, "n = 6, i = 5, j = 0")
    assert (proved.status, stated.status) == (Status.UNKNOWN, Status.REFUTED)
    assert "stopped after" in proved.explanation and "no violation at the lengths up to" in proved.explanation


def test_unequal_lengths_refute_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGE", 0)
    monkeypatch.setattr(guard, "TIME_LIMIT", 0.0)
    [found] = pc.check(pc.loads("pattern p cross { step strided(3) prove nonempty }")["p"])
    assert (found.status, str(found.witness)) == (Status.REFUTED, "nq = 2, nk = 1, i = 1")


def test_a_process_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGE", 0)
    monkeypatch.setattr(process.sys, "executable", "false")
    process._end_all()
    results = pc.check(pc.loads(TEXT.replace("prove not reach }", "}"))["p"])
    assert [result.status for result in results] == [Status.UNKNOWN, Status.UNKNOWN, Status.REFUTED]
    assert all("none started" in result.explanation for result in results[:2])


def test_a_process_without_memory_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGE", 0)
    text = "pattern p causal { step local(3) prove nonempty at n = 3000 }"  # nine million pairs
    assert [result.status for result in pc.check(pc.loads(text)["p"])] == [Status.CHECKED]
    monkeypatch.setattr(process, "MEMORY_LIMIT", 1 << 20)
    process._end_all()  # the one that waits has its memory
    assert [result.status for result in pc.check(pc.loads(text)["p"])] == [Status.UNKNOWN]


def test_a_process_is_used_again_while_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LARGE", 0)
    module = pc.loads(TEXT.replace("prove not reach }", "}"))
    pc.check(module["p"])
    [first] = process._waiting
    pc.check(module.plans["x"])
    assert process._waiting == [first]
    first.end()  # killed from outside: the next work gets another
    assert [result.status for result in pc.check(module["p"])] == [Status.PROVED, Status.PROVED, Status.REFUTED]
    assert process._waiting != [first]


def test_size_counts_nodes() -> None:
    small, large = (pc.loads(f"pattern p causal {{ step {text} }}")["p"].bound for text in ("self", "self | self"))
    assert 0 < guard.size(small) < guard.size(large)
