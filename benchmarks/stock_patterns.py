"""Stock patterns, by part of their names: parts that commas separate; None: all."""

from __future__ import annotations

from collections.abc import Iterator

import patternc as pc
from patternc import library


def named(parts: str | None) -> Iterator[tuple[str, str]]:
    """(file, name) of all whose name contains one of the parts."""
    chosen = parts.split(",") if parts else [""]
    for file in library.names():
        yield from ((file, name) for name in library.load(file) if any(part in name for part in chosen))


def stock(parts: str | None) -> Iterator[tuple[str, pc.Pattern]]:
    """(name, pattern with its defaults) of the same."""
    for file, name in named(parts):
        yield name, pc.load(f"library:{file}")[name].bind()
