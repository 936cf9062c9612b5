"""Triton decides when a kernel is defined whether it is interpreted, so these tests need a process of their own.

tests/runtime/engines/test_triton_interpreter.py starts it. In any other process nothing here is collected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if os.environ.get("TRITON_INTERPRET") == "1":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    collect_ignore_glob: list[str] = []
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="0/1", help="I/N: of the tests that are selected, every Nth from number I on")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    first, step = map(int, config.getoption("--share").split("/"))
    config.hook.pytest_deselected(items=[item for at, item in enumerate(items) if at % step != first])
    items[:] = items[first::step]
