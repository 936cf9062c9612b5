"""Generated source on disk."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from patternc.compiler.cache import CacheWarning, fresh
from patternc.compiler.kernels import kernel_file
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.kernel_file import import_source, kernel, write_source
from patternc.compiler.lowering.stored import stored
from patternc.compiler.passes.program import Program
from patternc.compiler.pattern import loads


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    path = write_source("X = 1\n", tmp_path)
    assert write_source("X = 1\n", tmp_path) == path
    assert write_source("X = 2\n", tmp_path) != path
    assert [item.suffix for item in tmp_path.iterdir()] == [".py", ".py"]


def test_a_changed_file_is_replaced_not_imported(tmp_path: Path) -> None:
    path = write_source("Y = 1\n", tmp_path)
    path.write_text("Y = 'changed'\n")
    assert import_source("Y = 1\n", tmp_path).Y == 1


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from patternc.compiler.kernels.kernel_file import write_source\n"
        "for i in range(50): write_source(f'Z = {i}', Path(sys.argv[1]))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 50


def program(w: int = 24) -> Program:
    bound = loads("pattern p(w: int) causal { step local(w) }")["p"].bind(w=w).bound
    return stored(bound.union, bound.direction, "p")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were written anew, into an empty cache."""
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path))
    sources: list[str] = []
    monkeypatch.setattr(kernel_file, "emit", lambda *what: sources.append(emit(*what)) or sources[-1])
    return sources


def test_a_kernel_of_a_program_on_disk_is_written_once(written: list[str], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = kernel(program(), "forward", 0)
        assert kernel(program(), "forward", 0).fn is first.fn
        assert len(written) == 1
        assert kernel(program(25), "forward", 0).fn is not first.fn
        kernel(program(), "backward_key", 0)
        assert len(set(written)) == len(written) == 3
        files = sorted(tmp_path.iterdir())
        with fresh():
            assert kernel(program(), "forward", 0).fn.__name__ == "forward_0"
        assert sorted(tmp_path.iterdir()) == files
    assert len(written) == 4


@pytest.mark.parametrize("spoiled", ["kernels_*.py", "source_*.txt"])
def test_what_was_changed_is_written_anew(written: list[str], tmp_path: Path, spoiled: str) -> None:
    kernel(program(), "forward", 0)
    [path] = tmp_path.glob(spoiled)
    content = path.read_text()
    path.write_text(content.replace("0", "1"))
    with pytest.warns(CacheWarning, match="written anew"):
        kernel(program(), "forward", 0)
    assert path.read_text() == content
    assert len(written) == 2


def test_a_source_that_is_gone_is_written_anew(written: list[str], tmp_path: Path) -> None:
    kernel(program(), "forward", 0)
    [path] = tmp_path.glob("kernels_*.py")
    path.unlink()
    kernel(program(), "forward", 0)
    assert path.exists()
    assert len(written) == 2
