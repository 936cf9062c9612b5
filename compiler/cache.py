"""Where patternc keeps what it would otherwise compute again, and how a file gets there."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path


class CacheWarning(UserWarning):
    """A file of the cache that cannot be used or written. Only time is lost."""


def cache_directory() -> Path:
    """$PATTERNC_CACHE_DIR, else the user's cache as the platform places it. It need not exist yet."""
    if chosen := os.environ.get("PATTERNC_CACHE_DIR"):
        return Path(chosen)
    match sys.platform:
        case "win32":
            return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "patternc" / "Cache"
        case "darwin":
            return Path.home() / "Library" / "Caches" / "patternc"
        case _:
            return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patternc"


def keep(path: Path, text: str) -> None:
    """Put ``text`` at ``path``. A disk that refuses costs a warning: what is in it is computed again next time."""
    try:
        write_atomically(path, text)
    except OSError as error:
        remedy = "set PATTERNC_CACHE_DIR to a folder that can be written"
        warnings.warn(f"cannot keep {path}: {error}; {remedy}", CacheWarning, stacklevel=3)


def write_atomically(path: Path, text: str) -> None:
    """Put ``text`` at ``path``, making its folder.

    The text is written aside and renamed: a reader sees the old file or the new one, never a part, and two processes
    may write at once. Raises OSError where the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
