"""The benchmarks are scripts: their modules are found beside them, and forgotten after each test."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark_modules(monkeypatch) -> Iterator[Callable[[str], Any]]:
    """Imports a module of the benchmarks by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(FOLDER):
            del sys.modules[name]


@pytest.fixture
def run() -> Callable[..., dict[str, Any]]:
    """Runs a script and gives the document that it writes."""

    def execute(script: str, out: Path, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, str(FOLDER / f"{script}.py"), *arguments, "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        assert document["benchmark"] == script
        assert {"cpu", "load_1min_before"} <= set(document["machine"]) and "torch" in document["versions"]
        return document | {"printed": done.stdout}

    return execute
