"""The other texts that a text speaks of: imports, stock patterns and the prelude, and where they lie on the disk."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from ...library import catalogue
from ...patterns_dsl.binding.link import Finder, ImportRefused
from ...patterns_dsl.builtin.prelude import prelude
from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.diagnostics.source import Source
from ..pattern import LIBRARY
from .outline import Outline, outline

Reader: TypeAlias = Callable[[Path], Source]
"""Reads a file. Raises OSError, and PatternError for what is no text."""

_ROOT = __package__.split(".", 1)[0]


def imported(importer: Source, path: str, find: Finder) -> Outline | None:
    """The outline of the file that an import names; None where there is none."""
    try:
        return outline(find(importer, path))
    except (ImportRefused, PatternError):
        return None


def stock(name: str) -> Outline | None:
    """The outline of a stock pattern's file; None where there is no such pattern."""
    return outline(catalogue.source(name)) if name in catalogue.names() else None


def built_in() -> Outline:
    """The outline of the prelude."""
    return outline(prelude().span.source)


def home(source: Source) -> Path | None:
    """The file that a source was read from; None for a text that lies in none."""
    if source is prelude().span.source:
        return _resource("patterns_dsl", "builtin", "prelude.pat")
    if source.name.startswith(LIBRARY):
        return _resource("library", f"{source.name.removeprefix(LIBRARY)}.pat")
    return None if source.folder is None else Path(source.name)


def page(code: str) -> Path | None:
    """The page of a diagnostic code; None where the installation has none."""
    return _resource("docs", "errors", f"{code}.md")


def _resource(*parts: str) -> Path | None:
    found = resources.files(_ROOT).joinpath(*parts)
    return found if isinstance(found, Path) and found.is_file() else None
