"""Which lines of a generated file a function is, told from its code.

Triton asks ``inspect`` for the lines of every function that it is given. To find the last one, ``inspect`` reads all
tokens of the function in Python (3.11), which takes most of the time of an import; its code knows where it ends.
"""

from __future__ import annotations

import inspect
import linecache
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def told_by_code(file: str) -> Iterator[None]:
    """Within, ``inspect.getsourcelines`` says what it says, but of the functions of this file sooner."""
    with _ONE_AT_A_TIME:
        usual = inspect.getsourcelines

        def told(asked: Any) -> tuple[list[str], int]:
            known = isinstance(asked, FunctionType) and asked.__code__.co_filename == file
            return (known and lines_of(asked.__code__)) or usual(asked)

        linecache.checkcache(file)
        inspect.getsourcelines = told  # type: ignore[assignment]
        try:
            yield
        finally:
            inspect.getsourcelines = usual


def lines_of(code: CodeType) -> tuple[list[str], int] | None:
    """The lines of a function, its decorators among them, and the number of the first. None where its code does not say
    in which it ends, or more of it may be behind that one, as a comment."""
    lines, first = linecache.getlines(code.co_filename), code.co_firstlineno
    end = max((last or 0 for _, last, _, _ in code.co_positions()), default=0)
    behind = next((line for line in lines[end:] if not line.isspace()), "")
    return (lines[first - 1 : end], first) if first < end <= len(lines) and not behind[:1].isspace() else None
