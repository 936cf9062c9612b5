"""The benchmark scripts run, at sizes that say nothing about speed, and write what their readers expect."""

from __future__ import annotations

import pytest
import torch


def test_attention(run, tmp_path):
    sizes = ("-n", "150,256", "--rounds", "2", "-H", "2")
    chosen = ("--without", "flex,expert", "--patterns", "local,longformer(512)")
    document = run("attention", tmp_path / "a.json", *sizes, *chosen)
    for result in document["results"]:
        assert set(result["dense"].values()) == {"dense", "dense_bidirectional"}
        assert {"dense", "ours, compose"} <= {row["contestant"] for row in result["seconds"]}
        assert {(row["rival"], row["count"]) for row in result["ratios"]} >= {("dense", 2)}
        assert {row["pass"] for row in result["seconds"]} == {"forward", "forward+backward", "decode"}
        absent = {row["contestant"]: row["reason"] for row in result["left_out"] if not row["pattern"]}
        assert set(absent) >= {"NATTEN", "FlashInfer", "flash-attn", "DeepSpeed", "ours, triton"}
        assert all(reason in document["printed"] for reason in absent.values())
    assert document["targets"] == []  # they hold at one size, which this is not


@pytest.mark.slow
def test_attention_with_flex_and_memory(run, tmp_path):
    arguments = ("-n", "256", "--rounds", "2", "--patterns", "local", "--memory", "256")
    [result] = run("attention", tmp_path / "a.json", *arguments)["results"]
    rivals = {(row["pass"], row["rival"]) for row in result["ratios"]}
    both = {"dense", "expert"}
    assert rivals == {
        *(("forward", rival) for rival in (*both, "flex", "flex + mask")),
        *(("forward+backward", rival) for rival in both),
        *(("decode", rival) for rival in (*both, "flex", "flex + mask, one query")),
    }
    no_backward = [row for row in result["left_out"] if row["contestant"] == "flex"]
    assert [row["pass"] for row in no_backward] == ["forward+backward"]
    assert {row["contestant"] for row in result["memory"]} == {"dense", "flex", "expert", "ours, compose"}


def test_check_time(run, tmp_path):
    document = run("check_time", tmp_path / "c.json", "--runs", "1", "--patterns", "axial,dense")
    assert set(document["seconds"]) == {"an empty Python", "one file", "the library"}
    assert document["settings"]["the library"] == ["library:axial", "library:dense"]


def test_lsp_time(run, tmp_path):
    document = run("lsp_time", tmp_path / "l.json", "--runs", "1", "--patterns", "axial,dense")
    assert set(document["seconds"]) == {"opened", "a comment", "a claim", "a parameter", "a mistake"}
    assert all(set(row["verdicts"]["files"]) == {"axial", "dense"} for row in document["seconds"].values())


def test_plan_time(run, tmp_path):
    arguments = ("-n", "1024,2048", "--runs", "1", "--patterns", "summary,strided_factorized")
    document = run("plan_time", tmp_path / "p.json", *arguments)
    assert [row["pattern"] for row in document["patterns"]] == ["strided_factorized", "summary_columns"]
    assert all(plan["blocks"] > 0 for row in document["patterns"] for plan in row["plans"])


def test_plan_time_names_a_pattern_that_needs_too_much(run, tmp_path):
    arguments = ("-n", "1024", "--runs", "1", "--patterns", "sliding", "--seconds", "0.01")
    document = run("plan_time", tmp_path / "p.json", *arguments)
    assert "before it was done" in document["patterns"][0]["failed"]
    assert not any(target["met"] for target in document["targets"])


@pytest.mark.slow
def test_model_parity(run, tmp_path):
    demo_model = pytest.importorskip("patternc.runtime.models.demo_model")
    try:
        demo_model.find_weights()
    except demo_model.DemoError as missing:
        pytest.skip(str(missing))
    document = run("model_parity", tmp_path / "m.json", "--tokens", "40", "--words", "3")
    assert all(target["met"] for target in document["targets"])


@pytest.mark.parametrize("n", [1, 130, 1050])
def test_the_formulas_written_twice_agree(benchmark_modules, n):
    index = torch.arange(n)
    for case in benchmark_modules("cases").CASES:
        assert torch.equal(case.mask(n)(index[:, None], index[None, :]), case.pattern().mask(n)), case.name


def test_a_plans_tables_are_counted_once_and_whole(benchmark_modules):
    plan_time = benchmark_modules("plan_time")
    whole = torch.arange(4)
    numbers = whole.numpy()
    assert [table.nbytes for table in plan_time.tables((numbers.copy(), (whole, 3, None)))] == [32, 32]
    table = benchmark_modules("plan_time_table")
    assert table.Target("x", 1.0, 2.0, True).met and not table.Target("x", 1.0, 2.0, False).met
