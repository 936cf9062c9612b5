"""`patternc check` in every format: exit codes, streams, quiet, and when there is colour."""

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
from patternc.compiler.report.console import When, paint

FORMATS = ["text", "json", "sarif", "github"]

TEXTS = {
    "good.pat": "pattern p causal { step self prove nonempty }\n",
    "slow.pat": "pattern p causal { step local(8) prove reach in 8 steps at n = 50 }\n",
    "bad.pat": "pattern p causal { step fixed(8, 2) prove nonempty }\n",
    "open.pat": "pattern p causal { learn hot = topk(k = 64) step local(64) | columns(hot) prove reach in 2 steps }\n",
    "broken.pat": "pattern p causal { step slf }\n",
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["good.pat"], 0),
        (["slow.pat"], 0),
        (["bad.pat"], 1),
        (["open.pat"], 1),
        (["broken.pat"], 1),
        (["good.pat", "broken.pat"], 1),
        (["library:dense"], 0),
        (["missing.pat"], 2),
        (["good.pat", "missing.pat"], 2),
        (["good.pat::q"], 2),
        (["library:q"], 2),
    ],
)
def test_exit_codes_are_the_same_in_every_format(names: list[str], code: int, kind: str) -> None:
    done = run("--output-format", kind, *names)
    assert done.exit_code == code
    if code == 2:
        assert done.stderr.startswith("error: ")
        assert kind == "text" or done.stdout == ""


def test_what_each_format_is() -> None:
    done = {kind: run("--output-format", kind, *TEXTS) for kind in FORMATS}
    assert len(json.loads(done["json"].stdout)["files"]) == 5
    assert [one["ruleId"] for one in json.loads(done["sarif"].stdout)["runs"][0]["results"]] == [
        *("P320", "P302", "P310", "P201"),
    ]
    assert re.findall(r"^::(\w+) file=(\w+)", done["github"].stdout, re.MULTILINE) == [
        ("warning", "slow"),
        ("error", "bad"),
        ("warning", "open"),
        ("error", "broken"),
    ]
    summary = "1 proved, 1 checked, 1 refuted, 1 unknown, 1 error, 1 warning (2 with a fix: --fix applies them)\n"
    assert [one.stderr for one in done.values()] == [summary, "", "", ""]


def test_quiet_leaves_what_holds_out_of_the_text() -> None:
    done = run("--quiet", *TEXTS)
    assert re.findall(r"\w+\[P\d+\]", done.stdout) == ["error[P302]", "warning[P310]", "error[P201]"]
    assert (done.stderr, "PROVED" in done.stdout) == ("", False)
    for kind in FORMATS[1:]:
        loud, quiet = (run("--output-format", kind, *TEXTS, *more) for more in ([], ["--quiet"]))
        assert (loud.stdout, loud.exit_code) == (quiet.stdout, quiet.exit_code)


def test_colour_never_reaches_the_other_formats() -> None:
    for kind in FORMATS[1:]:
        assert "\x1b" not in run("--color", "always", "--output-format", kind, *TEXTS).stdout


def test_colour_when_asked_for() -> None:
    assert "\x1b[" in run("--color", "always", "bad.pat").stdout
    assert "\x1b[" not in run("--color", "never", "bad.pat").stdout
    assert "\x1b[" not in run("bad.pat").stdout  # no terminal
    assert run("--color", "sometimes", "bad.pat").exit_code == 2


@pytest.mark.parametrize(
    ("variables", "colour"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),  # no-color.org: present and not empty
        ({"TERM": "dumb"}, False),
    ],
)
def test_colour_on_a_terminal(variables: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert paint(When.AUTO).color is colour
    assert paint(When.ALWAYS).color
    assert not paint(When.NEVER).color


def patternc(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from patternc.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env={**os.environ, **variables})


def test_a_pipe_gets_no_colour() -> None:
    done = patternc("check", "bad.pat")
    assert (done.returncode, b"\x1b" in done.stdout, b"error[P302]" in done.stdout) == (1, False, True)


def test_what_the_encoding_of_the_output_lacks_is_escaped() -> None:
    Path("x.pat").write_text("pattern p causal { step { (i, j) : j ≤ i } }", encoding="utf-8")
    done = patternc("check", "x.pat", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert rb"unexpected `\u2264`" in done.stdout
    assert b"Traceback" not in done.stderr
