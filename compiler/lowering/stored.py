"""stored: confirmed programs on disk, so that a pattern is lowered and proved once per machine, not per process.

An entry is the program that ``confirm`` proved, as ``passes/written.py`` has it, under a line that says of what, and
its digest. Nothing in it is executed to get the program back. An entry that was cut short, edited or does not read is
ignored with a warning and written anew. The name of an entry holds a digest of the compiler itself, so that another
version of it never meets it.
"""

from __future__ import annotations

import hashlib
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
from ..cache import cache_directory, digest, entry, is_fresh, keep_entry
from ..passes import written
from ..passes.program import Program, Tile

_FORMAT = "patternc program 2"
_ROOMS = ("kernels", "lowering", "passes", "relations")
_FILES = ("cache.py", "ceiling.py")


def stored(
    expression: Expression, direction: Direction, name: str, tile: Tile | None = None, table: int = 0
) -> Program:
    """The program of a relation, as ``lower`` gives it, from the disk where it is there. Raises as ``lower`` does."""
    if is_fresh():
        return _lowered(expression, direction, name, tile, table)
    key = _key(expression, direction, name, tile, table)
    path, title = cache_directory() / f"program_{key[:32]}.txt", f"{_FORMAT} {key}"
    program = entry(path, title, written.read, "the pattern is compiled anew")
    if program is None:
        program = _lowered(expression, direction, name, tile, table)
        text = written.write(program)
        if written.read(text) != program:
            raise RuntimeError(f"the program of {name} is not read back as it was confirmed: a bug of patternc")
        keep_entry(path, title, text)
    return program.named(key)


def _lowered(expression: Expression, direction: Direction, name: str, tile: Tile | None, table: int) -> Program:
    # Imported on use: a program from the disk needs neither isl nor the passes.
    from .lower import lower

    return lower(expression, direction, name, tile, table).program


def _key(expression: Expression, direction: Direction, name: str, tile: Tile | None, table: int) -> str:
    """A digest of all that a program depends on; the labels of its terms quote the text of the rules."""
    parts = (compiler_digest(), repr(expression), _quoted(expression), direction.value, name, repr(tile), str(table))
    return digest("\n".join(parts))


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
