"""Where patternc keeps what it would otherwise compute again, and how a file gets there."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

FoundT = TypeVar("FoundT")

_FRESH: ContextVar[bool] = ContextVar("fresh", default=False)


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


@contextmanager
def fresh() -> Iterator[None]:
    """Within, no entry is read from the disk or written to it: for whoever examines what makes them."""
    token = _FRESH.set(True)
    try:
        yield
    finally:
        _FRESH.reset(token)


def is_fresh() -> bool:
    """Whether this is within ``fresh``."""
    return _FRESH.get()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def keep_entry(path: Path, title: str, text: str) -> None:
    """Put ``text`` at ``path``, under a line with the ``title``, which says of what it is, and its digest."""
    keep(path, f"{title} {digest(text)}\n{text}")


def entry(path: Path, title: str, read: Callable[[str], FoundT], otherwise: str) -> FoundT | None:
    """What ``read`` makes of the text of an entry; None where there is none. One that was cut short or edited, is of
    something else or makes ``read`` raise ValueError is ignored, with a warning of what is done ``otherwise``."""
    try:
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = f"it cannot be read ({error})"
    else:
        if head == f"{title} {digest(text)}":
            try:
                return read(text)
            except ValueError as error:
                reason = str(error)
        else:
            reason = "it is not as it was written"
    warnings.warn(f"{path} is ignored, and {otherwise}: {reason}", CacheWarning, stacklevel=3)
    return None


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
