"""Choosing the options of launches, with a clock that tells what it is told."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from programs import CASES
from test_engine import close, dense, tensors

from patternc.compiler.kernels import launch
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Tile
from patternc.compiler.pattern import loads
from patternc.runtime.cache import CacheWarning, write_record
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.triton import chains, kernel_run, tune
from patternc.runtime.engines.triton.engine import TritonEngine
from patternc.runtime.engines.triton.tune import Tuning, tuning_for


def program(width: int = 20) -> Any:
    bound = loads(f"pattern p causal {{ step local({width}) }}")["p"].bound
    return lower(bound.union, bound.direction, "p", Tile(32, 32)).program


class Clock:
    """Takes ``seconds`` of the options that a function launches, and runs it once to see which."""

    def __init__(self, seconds: Callable[[launch.Options], float]) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, launch.Options]] = []

    def __call__(self, run: Callable[[], object]) -> float:
        run()
        role, options = LAUNCHED[-1]
        self.asked.append((role, options))
        return self.seconds(options)


LAUNCHED: list[tuple[str, launch.Options]] = []
SETTINGS: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "LEAST_KEYS", 1)
    right = kernel_run.KernelRun.launch
    chains._KEPT.clear()

    def seen(run: Any, *arguments: Any, **named: Any) -> Any:
        LAUNCHED.append((run.role, run.options))
        found = right(run, *arguments, **named)
        SETTINGS.append(found.constants)
        return found

    monkeypatch.setattr(kernel_run.KernelRun, "launch", seen)


def smallest(options: launch.Options) -> float:
    return float(options.block_q * options.block_k)


def attend(engine: TritonEngine, *, n: int = 40, dim: int = 16) -> list[tuple[str, launch.Options]]:
    """What was launched for a call forward and backward, checked against dense attention."""
    q, k, v = tensors(n, dim=dim)
    LAUNCHED.clear()
    out, lse = engine.forward(program(), q, k, v, Call(0.25))
    grads = engine.backward(program(), torch.ones_like(out), None, q, k, v, out, lse, Call(0.25))
    case = type("Case", (), {"related": staticmethod(lambda i, j: (j <= i) & (i - j < 20))})
    leaves = [x.double().requires_grad_() for x in (q, k, v)]
    want, _ = dense(case, *leaves, 0.25, None, 0)  # type: ignore[arg-type]
    close(out, want, 2e-6, "out")
    for got, right in zip(grads, torch.autograd.grad(want.sum(), leaves), strict=True):
        close(got, right, 8e-6, "gradient")
    return list(LAUNCHED)


def test_the_fastest_candidate_runs(tmp_path: Path) -> None:
    clock = Clock(smallest)
    launched = attend(TritonEngine(Tuning(clock, tmp_path)))
    roles = [role for role, _ in clock.asked]
    assert min(roles.count(role) for role in launch.ROLES) >= 2
    for role in launch.ROLES:
        tried = [options for asked, options in clock.asked if asked == role]
        assert [options for ran, options in launched if ran == role][-1] == min(tried, key=smallest)
    assert len(list(tmp_path.glob("launch_*.json"))) == 3


def test_a_choice_is_made_once_per_machine(tmp_path: Path) -> None:
    first, second, other = Clock(smallest), Clock(smallest), Clock(smallest)
    engine = TritonEngine(Tuning(first, tmp_path))
    attend(engine)
    count = len(first.asked)
    attend(engine, n=35)  # another length is not another choice
    assert len(first.asked) == count
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert attend(TritonEngine(Tuning(second, tmp_path)))
    assert second.asked == []
    attend(TritonEngine(Tuning(other, tmp_path)), dim=32)
    assert other.asked


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [lambda text: text[:50], lambda text: text.replace('"fastest"', '"slowest"')])
def test_a_spoiled_record_is_timed_again(tmp_path: Path, spoil: Callable[[str], str]) -> None:
    attend(TritonEngine(Tuning(Clock(smallest), tmp_path)))
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    for path, text in before.items():
        path.write_text(spoil(text))
    clock = Clock(smallest)
    with pytest.warns(CacheWarning):
        attend(TritonEngine(Tuning(clock, tmp_path)))
    assert clock.asked
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_record_without_a_limit_of_registers_is_stale(tmp_path: Path) -> None:
    """As earlier versions wrote them: four numbers for each candidate."""
    attend(TritonEngine(Tuning(Clock(smallest), tmp_path)))
    before = {path: path.read_text() for path in tmp_path.glob("launch_*.json")}
    for text in before.values():
        record = json.loads(text)
        assert len(record["value"]["fastest"]) == 5
        record["value"]["fastest"].pop()
        record["circumstances"]["candidates"] = record["circumstances"]["candidates"].replace(", None)", ")")
        write_record(tune.KIND, record["subject"], record["circumstances"], record["value"], tmp_path)
    assert all(path.read_text() != text for path, text in before.items())
    clock = Clock(smallest)
    with pytest.warns(CacheWarning, match="other versions or settings"):
        attend(TritonEngine(Tuning(clock, tmp_path)))
    assert {role for role, _ in clock.asked} == set(launch.ROLES)
    assert {path: path.read_text() for path in before} == before


def test_a_limit_of_registers_is_kept_and_launched(tmp_path: Path) -> None:
    """Of a kernel that has one; the record knows it, and the next process takes it from there."""
    bound = loads("pattern p causal { step local(20) }")["p"].bound
    window = lower(bound.union, bound.direction, "p", Tile(64, 64)).program
    q, k, v = (x.half() for x in tensors(150, dim=128))
    clock, never = Clock(lambda options: 1.0 if options.registers else 2.0), Clock(smallest)
    for engine in (TritonEngine(), TritonEngine(Tuning(clock, tmp_path)), TritonEngine(Tuning(never, tmp_path))):
        LAUNCHED.clear()
        SETTINGS.clear()
        out, _ = engine.forward(window, q, k, v, Call(0.1))
        assert LAUNCHED[-1] == ("forward", launch.Options(64, 32, 4, 3, 168))
        assert SETTINGS[-1]["maxnreg"] == 168
        related = type("Case", (), {"related": staticmethod(lambda i, j: (j <= i) & (i - j < 20))})
        close(out, dense(related, *(x.double() for x in (q, k, v)), 0.1, None, 0)[0], 2e-3, "out")  # type: ignore[arg-type]
    assert {options.registers for _, options in clock.asked} == {168, None} and never.asked == []
    [record] = [json.loads(path.read_text()) for path in tmp_path.glob("launch_*.json")]
    assert record["value"]["fastest"] == [64, 32, 4, 3, 168]


def test_a_kernel_that_finds_delta_is_another_kernel(tmp_path: Path) -> None:
    """It does not where lse has a gradient: then another kernel has found it."""
    q, k, v = tensors(40)
    clock = Clock(smallest)
    engine = TritonEngine(Tuning(clock, tmp_path))
    out, lse = engine.forward(program(), q, k, v, Call(0.25))
    asked = []
    for slope in (None, torch.ones_like(lse), None, torch.ones_like(lse)):
        clock.asked.clear()
        engine.backward(program(), torch.ones_like(out), slope, q, k, v, out, lse, Call(0.25))
        asked.append({role for role, _ in clock.asked})
    assert asked == [{"backward_query", "backward_key"}, {"backward_query"}, set(), set()]


@pytest.mark.slow
def test_other_kernels_make_a_choice_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attend(TritonEngine(Tuning(Clock(smallest), tmp_path)))
    monkeypatch.setattr(tune, "_library_digest", lambda: "another library")
    clock = Clock(smallest)
    with pytest.warns(CacheWarning, match="other versions"):
        attend(TritonEngine(Tuning(clock, tmp_path)))
    assert clock.asked


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    from triton.runtime.errors import OutOfResources

    def seconds(options: launch.Options) -> float:
        if options.block_q * options.block_k == 32 * 32:
            raise OutOfResources(2, 1, "shared memory")
        return 1.0

    clock = Clock(seconds)
    launched = attend(TritonEngine(Tuning(clock, tmp_path)))
    for role in launch.ROLES:
        last = [options for ran, options in launched if ran == role][-1]
        assert last.block_q * last.block_k < 32 * 32

    def never(options: launch.Options) -> float:
        raise OutOfResources(2, 1, "shared memory")

    q, k, v = tensors(40, dim=64)
    with pytest.raises(OutOfResources):
        TritonEngine(Tuning(Clock(never), tmp_path)).forward(program(), q, k, v, Call(0.25))


def test_timing_leaves_results_alone(tmp_path: Path) -> None:
    """A kernel that resumes, or adds, is timed on copies."""
    q, k, v = tensors(40, heads=2)
    tuned, plain = TritonEngine(Tuning(lambda run: [run(), run()] and 1.0, tmp_path)), TritonEngine()
    case = CASES["strided"]().program
    results = []
    for engine in (tuned, plain):
        out, lse = engine.forward(case, q, k, v, Call(0.25))
        results.append([out, lse, *engine.backward(case, out.cos(), None, q, k, v, out, lse, Call(0.25))])
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def test_nothing_is_timed_in_the_interpreter_or_where_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuning_for(torch.device("cpu")) is None
    assert tuning_for(torch.device("cuda")) is None  # in the interpreter
    monkeypatch.setattr(tune, "interpreted", lambda: False)
    monkeypatch.setenv("PATTERNC_TUNE", "0")
    assert tuning_for(torch.device("cuda")) is None


def test_short_sequences_run_as_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "LEAST_KEYS", 41)
    clock = Clock(smallest)
    attend(TritonEngine(Tuning(clock, tmp_path)))
    assert clock.asked == []
