"""Whether what is asked for can be written, before the work on it, when nothing is made; and what it was, later on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_folder(path: Path) -> None:
    """That ``path`` is a folder that can be written, or can be made. Raises OSError with the place and the reason."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise _refused(errno.ENOTDIR, there)
    if not os.access(there, os.W_OK):
        raise _refused(errno.EACCES, there)


def check_file(path: Path) -> None:
    """That ``path`` is a file that can be written, or can be made in a folder that exists. Raises OSError."""
    if path.is_dir():
        raise _refused(errno.EISDIR, path)
    if not path.parent.exists():
        raise _refused(errno.ENOENT, path.parent)
    if not path.parent.is_dir():
        raise _refused(errno.ENOTDIR, path.parent)
    there = path if path.exists() else path.parent
    if not os.access(there, os.W_OK):
        raise _refused(errno.EACCES, there)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What cannot be written within is said of ``path``, and not of a file beside it, or of none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _refused(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
