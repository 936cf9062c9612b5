"""Generated source on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from patternc.compiler.kernels.kernel_file import import_source, write_source


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
