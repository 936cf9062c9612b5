"""stored: confirmed programs on disk, so that a pattern is lowered and proved once per machine, not per process.

An entry is the program that ``confirm`` proved, as ``passes/written.py`` has it, under a line that says of what, and
its digest. Nothing in it is executed to get the program back. An entry that was cut short, edited or does not read is
ignored with a warning and written anew. The name of an entry holds a digest of the compiler itself, so that another
version of it never meets it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from ...patterns_dsl.syntax import (
    Complement,
    Composition,
    Difference,
    Direction,
    Expression,
    Gated,
    Intersection,
    Pooled,
    Union,
)
from ..cache import CacheWarning, cache_directory, keep
from ..passes import written
from ..passes.program import Program, Tile

_FORMAT = "patternc program 2"
_ROOMS = ("kernels", "lowering", "passes", "relations")
_FILES = ("cache.py", "ceiling.py")
_FRESH: ContextVar[bool] = ContextVar("fresh", default=False)


@contextmanager
def fresh() -> Iterator[None]:
    """Within, nothing is read from the disk or written to it: for whoever examines the compiler itself."""
    token = _FRESH.set(True)
    try:
        yield
    finally:
        _FRESH.reset(token)


def stored(
    expression: Expression, direction: Direction, name: str, tile: Tile | None = None, table: int = 0
) -> Program:
    """The program of a relation, as ``lower`` gives it, from the disk where it is there. Raises as ``lower`` does."""
    if _FRESH.get():
        return _lowered(expression, direction, name, tile, table)
    key = _key(expression, direction, name, tile, table)
    path = cache_directory() / f"program_{key[:32]}.txt"
    if (found := _read(path, key)) is not None:
        return found
    program = _lowered(expression, direction, name, tile, table)
    text = written.write(program)
    if written.read(text) != program:
        raise RuntimeError(f"the program of {name} is not read back as it was confirmed: a bug of patternc")
    keep(path, f"{_FORMAT} {key} {_digest(text)}\n{text}")
    return program


def _lowered(expression: Expression, direction: Direction, name: str, tile: Tile | None, table: int) -> Program:
    # Imported on use: a program from the disk needs neither isl nor the passes.
    from .lower import lower

    return lower(expression, direction, name, tile, table).program


def _read(path: Path, key: str) -> Program | None:
    try:
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = f"it cannot be read ({error})"
    else:
        if head == f"{_FORMAT} {key} {_digest(text)}":
            try:
                return written.read(text)
            except ValueError as error:
                reason = str(error)
        else:
            reason = "it is not as it was written"
    warnings.warn(f"{path} is ignored, and the pattern is compiled anew: {reason}", CacheWarning, stacklevel=3)
    return None


def _key(expression: Expression, direction: Direction, name: str, tile: Tile | None, table: int) -> str:
    """A digest of all that a program depends on; the labels of its terms quote the text of the rules."""
    parts = (compiler_digest(), repr(expression), _quoted(expression), direction.value, name, repr(tile), str(table))
    return _digest("\n".join(parts))


def _quoted(expression: Expression) -> str:
    """The lines and texts of every part that a term may be named after."""
    found, left = [], [expression]
    while left:
        part = left.pop()
        found.append(f"{part.span.line} {part.span.text}")
        match part:
            case Union() | Intersection() | Difference() | Composition():
                left += (part.left, part.right)
            case Complement() | Gated() | Pooled():
                left.append(part.operand)
            case _:
                pass
    return "\n".join(found)


def compiler_files() -> list[Path]:
    """The files that make programs."""
    here = Path(__file__).parents[1]
    return sorted([here / name for name in _FILES] + [path for room in _ROOMS for path in (here / room).rglob("*.py")])


@lru_cache(maxsize=1)
def compiler_digest() -> str:
    """A digest of the compiler, and of the version of isl that it asks."""
    contents = hashlib.sha256(version("islpy").encode())
    for path in compiler_files():
        contents.update(f"{path.name}\n".encode() + path.read_bytes())
    return contents.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
