"""patternc bench and the time of patternc explain: arguments, exit codes, what is printed where."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from patternc.cli import app
from patternc.runtime.learned.pricing.speeds import assume
from patternc.testing.machines import PLAIN_SPEEDS

SMALL = ["-n", "33", "--heads", "2", "--head-dim", "8", "--rounds", "1"]


def test_bench_prints_a_table_or_json() -> None:
    text = CliRunner().invoke(app, ["bench", "library:sliding_window", *SMALL, "-p", "w=4"])
    assert text.exit_code == 0
    assert "sliding_window(w = 4), float32, batch 1, 2 heads of 8, engine compose" in text.stdout
    found = CliRunner().invoke(
        app, ["bench", "library:sliding_window", *SMALL, "--backward", "--output-format", "json", "-q"]
    )
    rows = json.loads(found.stdout)["measured"]
    assert [row["direction"] for row in rows] == ["forward", "forward+backward"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "4096,x"], "-n 4096,x: give positive lengths"),
        (["-n", "0"], "-n 0: give positive lengths"),
        (["-n", "64,99999999"], "give positive lengths, 16,777,216 at most"),
        (["--against", ""], "no rival; choose of dense, flex"),
        (["--against", "xformers"], "unknown rival 'xformers'"),
    ],
)
def test_bench_refuses(arguments: list[str], message: str) -> None:
    found = CliRunner().invoke(app, ["bench", "library:dense", *arguments])
    assert found.exit_code == 2
    assert message in found.stderr


def test_explain_predicts() -> None:
    text = CliRunner().invoke(app, ["explain", "library:strided_factorized", "-n", "8192", "--heads", "3"])
    assert text.exit_code == 0
    assert "times as fast as dense" in text.stdout
    assert "predicted for a machine of round numbers" in text.stdout and "batch 1, 3 heads of 64" in text.stdout
    found = CliRunner().invoke(app, ["explain", "library:strided_factorized", "-n", "8192", "--output-format", "json"])
    assert json.loads(found.stdout)["prediction"]["forward"]["speedup"] > 5


def test_explain_of_what_no_engine_runs_has_no_time() -> None:
    found = CliRunner().invoke(app, ["explain", "library:moba", "-n", "512", "--output-format", "json"])
    assert found.exit_code == 0
    assert json.loads(found.stdout)["prediction"] is None


def test_explain_says_up_to_which_density_lists_are_read() -> None:
    arguments = ["explain", "library:block_sparse", "-n", "1024"]
    with assume(PLAIN_SPEEDS):
        text = CliRunner().invoke(app, arguments).stdout
        found = json.loads(CliRunner().invoke(app, [*arguments, "--output-format", "json"]).stdout)["lists_up_to"]
    [(name, density)] = found.items()
    assert 0 < density < 1
    assert f"  lists    `{name}` up to {density:.0%} of the pairs; beyond, dense under a mask\n" in text
    assert "  lists " not in CliRunner().invoke(app, [*arguments, "--device", "h100"]).stdout  # nothing was measured


def test_explain_of_a_gpu_is_arithmetic() -> None:
    arguments = ["explain", "library:sliding_window", "-n", "8192", "--device"]
    found = CliRunner().invoke(app, [*arguments, "h100"])
    assert "predicted for NVIDIA H100 SXM, batch 1, 4 heads of 64; by arithmetic from the data sheet; not measured" in (
        found.stdout
    )
    refused = CliRunner().invoke(app, [*arguments, "gtx"])
    assert refused.exit_code == 2
    assert "unknown device 'gtx'; choose of cpu, a100, h100" in refused.stderr
