"""The benchmark scripts run, at sizes that say nothing about speed, and write what their readers expect."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark_modules(monkeypatch):
    """The scripts' modules, found as a script finds them: beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in ("record", "cases", "contestants", "attention", "plan_time"):
        sys.modules.pop(name, None)


def run(script: str, out: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(FOLDER / f"{script}.py"), *arguments, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert document["benchmark"] == script
    assert {"cpu", "load_1min_before"} <= set(document["machine"]) and "torch" in document["versions"]
    return document


def test_attention(tmp_path):
    document = run("attention", tmp_path / "a.json", "-n", "150,256", "--rounds", "2", "--no-flex", "-H", "2")
    for result in document["results"]:
        assert len(result["patterns"]) == 5
        assert {row["engine"] for row in result["seconds"]} == {"dense", "ours"}
        assert {(row["rival"], row["count"]) for row in result["ratios"]} == {("dense", 2)}
    assert document["targets"] == []  # they hold at one size, which this is not


@pytest.mark.slow
def test_attention_with_flex(tmp_path):
    document = run("attention", tmp_path / "a.json", "-n", "256", "--rounds", "2", "--patterns", "local,sliding")
    [result] = document["results"]
    assert not any("flex_failed" in note for note in result["patterns"].values())
    assert {row["rival"] for row in result["ratios"]} == {"dense", "flex", "flex+mask"}


def test_check_time(tmp_path):
    document = run("check_time", tmp_path / "c.json", "--runs", "1")
    assert set(document["seconds"]) == {"an empty Python", "one file", "the library"}


def test_lsp_time(tmp_path):
    document = run("lsp_time", tmp_path / "l.json", "--runs", "1", "--patterns", "axial,dense")
    assert set(document["seconds"]) == {"opened", "a comment", "a claim", "a parameter", "a mistake"}
    assert all(set(row["verdicts"]["files"]) == {"axial", "dense"} for row in document["seconds"].values())


def test_plan_time(tmp_path):
    arguments = ("-n", "1024,2048", "--runs", "1", "--patterns", "summary,strided_factorized")
    document = run("plan_time", tmp_path / "p.json", *arguments)
    assert [row["pattern"] for row in document["patterns"]] == ["strided_factorized", "summary_columns"]
    assert all(plan["blocks"] > 0 for row in document["patterns"] for plan in row["plans"])


def test_plan_time_names_a_pattern_that_needs_too_much(tmp_path):
    arguments = ("-n", "1024", "--runs", "1", "--patterns", "sliding", "--seconds", "0.01")
    document = run("plan_time", tmp_path / "p.json", *arguments)
    assert "took more than" in document["patterns"][0]["failed"]
    assert not any(target["met"] for target in document["targets"])


@pytest.mark.slow
def test_model_parity(tmp_path):
    demo_model = pytest.importorskip("patternc.runtime.models.demo_model")
    try:
        demo_model.find_weights()
    except demo_model.DemoError as missing:
        pytest.skip(str(missing))
    document = run("model_parity", tmp_path / "m.json", "--tokens", "40", "--words", "3")
    assert all(target["met"] for target in document["targets"])


@pytest.mark.parametrize("n", [1, 130, 515])
def test_the_formulas_written_twice_agree(benchmark_modules, n):
    index = torch.arange(n)
    for case in benchmark_modules("cases").CASES:
        assert torch.equal(case.mask(index[:, None], index[None, :]), case.pattern().mask(n)), case.name


def test_a_wrong_engine_is_not_timed(benchmark_modules):
    contestants, cases = benchmark_modules("contestants"), benchmark_modules("cases")
    inputs = contestants.Inputs.draw((1, 1, 200, 16), "cpu", torch.float32)
    wrong = contestants.forward(contestants.dense, inputs)()
    with pytest.raises(contestants.Disagreement, match="nothing was timed"):
        contestants.check_output("dense as strided", wrong, cases.CASES[0].mask, inputs)
    with pytest.raises(contestants.Disagreement):
        contestants.check_gradients("dense as strided", contestants.dense, cases.CASES[0].mask, inputs)
    contestants.check_output("dense", wrong, cases.CASES[-1].mask, inputs)
    contestants.check_gradients("dense", contestants.dense, cases.CASES[-1].mask, inputs)


def test_a_plans_tables_are_counted_once_and_whole(benchmark_modules):
    plan_time = benchmark_modules("plan_time")
    whole = torch.arange(4)
    numbers = whole.numpy()
    assert [table.nbytes for table in plan_time.tables((numbers.copy(), (whole, 3, None)))] == [32, 32]
    assert plan_time.Target("x", 1.0, 2.0, True).met and not plan_time.Target("x", 1.0, 2.0, False).met
