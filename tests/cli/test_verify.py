"""patternc verify as a user runs it: what it prints, where, how it exits, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patternc.cli import app

TEXT = """
pattern good(w: int = 4) causal { require w >= 1 step local(w) prove nonempty }
pattern later(k: int = 2) causal { learn hot = topk(k = k) step columns(hot) | self prove nonempty }
plan model { layers 0..1 : good prove not reach in 1 layer }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.pat"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def test_what_holds_is_a_table(file: Path) -> None:
    done = run(file, "--examples", "2")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"{file}: good(w = 4)"
    assert lines[1] == "  HOLDS     closed form       2 examples"
    assert "  LEFT OUT  engine compose    P403: a program cannot hold what `hot` decides" in lines
    assert lines[-2:] == [f"{file}: plan model", "  HOLDS     claims            2 examples"]
    assert "verifying: good(w = 4): engine compose" in done.stderr
    assert done.stderr.endswith("\n11 hold, 6 left out\n")


def test_json(file: Path) -> None:
    done = run(f"{file}::later", "--examples", "1", "--seed", "5", "--output-format", "json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["passed"], found["seed"], found["examples"]) == (0, True, 5, 1)
    [subject] = found["files"][0]["subjects"]
    assert {one["property"]: one["status"] for one in subject["properties"]}["closed form"] == "holds"


def test_quiet_prints_what_fails_only(file: Path) -> None:
    assert (done := run(f"{file}::model", "--quiet", "--examples", "1")).exit_code == 0
    assert done.output == ""


def test_a_failure_exits_with_one_and_shows_a_small_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.compiler.relations import denote

    right = denote.number
    monkeypatch.setattr(denote, "number", lambda term: right(term).replace("1", "2"))
    file.write_text("pattern p causal { step { (i, j) : i - j < 9 and j > 1 } step self }", encoding="utf-8")
    done = run(file, "--examples", "30")
    assert done.exit_code == 1
    assert "  FAILED    closed form" in done.stdout
    shrunk = done.stdout.partition("\n  in\n\n")[2].partition("\n\n")[0]
    assert "step { (i, j) : j > 1 }" in shrunk and shrunk.count("step") == 1
    assert "failed" in done.stderr.splitlines()[-1]


def test_a_parameter_that_is_given_stays(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.testing.verify.drawing import Drawing

    seen = set()
    monkeypatch.setattr(Drawing, "judge", lambda self, example: seen.add(example.pattern.arguments["w"]))
    assert run(f"{file}::good", "-p", "w=7", "--examples", "5").exit_code == 0
    assert seen == {7}


def test_stock_patterns() -> None:
    assert "library:dense: dense" in run("library:dense", "--examples", "1").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pat"], "missing.pat"),
        (["FILE::nobody"], "has no pattern or plan 'nobody'; it has good, later, model"),
        (["FILE", "-p", "q=1"], "no pattern of .* has a parameter 'q'"),
        (["FILE", "--examples", "0"], "examples"),
        ([], "Missing argument"),
    ],
)
def test_usage(arguments: list[str], message: str, file: Path) -> None:
    done = run(*(argument.replace("FILE", str(file)) for argument in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.search(message, done.stderr)


def test_a_file_with_errors(file: Path) -> None:
    file.write_text("pattern p causal { step nowhere(3) }", encoding="utf-8")
    done = run(file)
    assert done.exit_code == 1
    assert "error[P201]" in done.stdout
    assert done.stderr.endswith("1 error\n")


def test_without_hypothesis_the_remedy_is_stated(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("patternc.testing.verify")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    done = run(file)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: verify needs hypothesis: pip install 'patternc[testing]'\n"


def test_it_is_the_same_each_time_and_leaves_nothing_behind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, where other tests ran before, and in a new process."""
    monkeypatch.chdir(file.parent)
    arguments = [f"{file.name}::good", "--examples", "3", "--output-format", "json", "--quiet"]
    command = [sys.executable, "-c", "from patternc.cli import main; main()", "verify", *arguments]
    there = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run(*arguments).stdout == there.stdout != ""
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.slow
def test_triton_runs_under_its_interpreter(file: Path) -> None:
    pytest.importorskip("triton")
    command = [sys.executable, "-c", "from patternc.cli import main; main()", "verify", f"{file}::good"]
    done = subprocess.run(
        [*command, "--examples", "20"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "  HOLDS     engine triton     2 examples" in done.stdout
