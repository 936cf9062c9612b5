"""Triton decides when a kernel is defined whether it is interpreted, so these tests need a process of their own.

tests/runtime/engines/test_triton_interpreter.py starts it. In any other process nothing here is collected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from patternc.testing.rounding import round_to_nearest


def look_through_the_language_once_a_launch() -> None:
    """Wherever a kernel calls a function, Triton's interpreter looks through all of the language for what it has to
    replace, and has replaced it when the kernel was launched: half of the time of these tests."""
    from triton.runtime import interpreter

    if not hasattr(interpreter, "_LangPatchScope"):  # another Triton: the tests take longer, and say the same
        return
    replace, scope = interpreter._patch_lang, interpreter._LangPatchScope
    replaced: set[tuple[bool, ...]] = set()

    class UntilTheLaunchEnds(scope):
        def restore(self) -> None:
            replaced.clear()
            super().restore()

    def once(fn: Any) -> Any:
        seen = {id(value) for value in fn.__globals__.values()}
        visible = tuple(id(language) in seen for language in (interpreter.tl, interpreter.tl.core))
        if visible in replaced:
            return scope()
        replaced.add(visible)
        return replace(fn)

    interpreter._LangPatchScope, interpreter._patch_lang = UntilTheLaunchEnds, once


if os.environ.get("TRITON_INTERPRET") == "1":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    collect_ignore_glob: list[str] = []
    look_through_the_language_once_a_launch()
    round_to_nearest()
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="0/1", help="I/N: of the tests that are selected, every Nth from number I on")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    first, step = map(int, config.getoption("--share").split("/"))
    config.hook.pytest_deselected(items=[item for at, item in enumerate(items) if at % step != first])
    items[:] = items[first::step]
