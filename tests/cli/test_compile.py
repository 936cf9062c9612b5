"""patternc compile --check-gradients: the engines are tried first, and nothing is built where one is off."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from patternc.cli import app
from patternc.runtime.engines.compose.engine import ComposeEngine


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["compile", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "near.pat"
    path.write_text("pattern near(w: int = 4) causal { step local(w) | columns(first(1)) }", encoding="utf-8")
    return path


def test_engines_are_tried_with_the_given_parameters(file: Path, tmp_path: Path) -> None:
    done = run(file, "-p", "w=9", "--check-gradients", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "near(w = 9)\n  HOLDS     engine reference  50 examples\n  HOLDS     engine compose    50" in done.stderr
    assert (tmp_path / "out/manifest.json").exists()


def test_nothing_is_built_where_a_gradient_is_off(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ComposeEngine.backward

    def wrong(self, *arguments, **where):
        dq, dk, dv = right(self, *arguments, **where)
        return dq, dk, dv * 1.01

    monkeypatch.setattr(ComposeEngine, "backward", wrong)
    done = run(file, "--check-gradients", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "FAILED    engine compose" in done.stderr and "dv is off by" in done.stderr
    assert not (tmp_path / "out").exists()


def test_where_nothing_can_be_written_nothing_is_tried(file: Path, tmp_path: Path) -> None:
    for place in (file, file / "within"):
        done = run(file, "-o", place)
        assert done.exit_code == 2 and done.stderr == f"error: {file}: Not a directory\n"
