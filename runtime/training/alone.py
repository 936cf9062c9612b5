"""One run for each checkpoint: two that kept themselves in one file would undo each other's steps.

The lock is the system's, on a file beside the checkpoint, so that it ends with its process, however that ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ArgumentError


@contextmanager
def alone(checkpoint: Path) -> Iterator[None]:
    """While it lasts, the run that is kept in this file. Raises ArgumentError where another one is, OSError."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    lock = _beside(checkpoint)
    descriptor = _locked(lock)
    while descriptor is not None and not _names(lock, descriptor):  # its owner removed it meanwhile
        os.close(descriptor)
        descriptor = _locked(lock)
    if descriptor is None:
        raise _taken(checkpoint)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def check_alone(checkpoint: Path) -> None:
    """Raises ArgumentError where another run is kept in this file. Nothing is made."""
    if not (lock := _beside(checkpoint)).exists():
        return
    descriptor = _locked(lock)
    if descriptor is None:
        raise _taken(checkpoint)
    os.close(descriptor)


def _beside(checkpoint: Path) -> Path:
    return checkpoint.with_name(checkpoint.name + ".lock")


def _taken(checkpoint: Path) -> ArgumentError:
    remedy = "wait for it and pass resume=True (--resume), or name another file (another folder, -o)"
    return ArgumentError("checkpoint", f"{checkpoint} is kept by a run that is still going on", remedy)


def _locked(lock: Path) -> int | None:
    """A descriptor of the file, which is made where it is missing; None where another process has it locked."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _names(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
