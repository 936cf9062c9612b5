"""Processes that decide claims: one that has done its work waits for more, since to start one takes a quarter of a
second."""

from __future__ import annotations

import atexit
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Timer
from typing import Any

MEMORY_LIMIT = 4 << 30

START_LIMIT = 30.0
"""Seconds that a process may take to start: a quarter of one, but for a machine that is busy."""

READY = "ready"
"""What a process says when it has started."""


def limit(memory: int) -> None:
    """Bytes that this process may have from now on, where the platform knows such limits."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    except (ImportError, ValueError, OSError):
        pass  # the time limit stays


class Stopped(Exception):
    """The process ran out of its time or memory, or was killed."""


class NotStarted(Exception):
    """A process could not be started."""


class Process:
    """One process, started. It ends by itself when this one does. Raises NotStarted."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", f"{__package__}.worker", str(MEMORY_LIMIT)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        try:
            self.receive(START_LIMIT)
        except Stopped:
            self.end()
            raise NotStarted(f"none started within {START_LIMIT:.0f} seconds and {MEMORY_LIMIT:,} bytes") from None

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, work: Any) -> None:
        """A pattern or plan, and the numbers of its claims. One that has ended gets nothing, and will not answer."""
        with suppress(BrokenPipeError):
            self._stdin.write(pickle.dumps(work))
            self._stdin.flush()

    def receive(self, seconds: float) -> Any:
        """The next thing that it says: READY, then verdicts. Raises Stopped."""
        timer = Timer(seconds, self._process.kill)
        timer.start()
        try:
            return pickle.load(self._stdout)
        except (EOFError, pickle.UnpicklingError):
            raise Stopped from None
        finally:
            timer.cancel()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()


_waiting: list[Process] = []
_LOCK = Lock()


@contextmanager
def process() -> Iterator[Process]:
    """A process for some work. It is kept for the next if the work ends well."""
    with _LOCK:
        found = _waiting.pop() if _waiting else None
    if found is not None and not found.alive:
        found.end()
        found = None
    found = found or Process()
    try:
        yield found
    except BaseException:
        found.end()
        raise
    with _LOCK:
        kept = not _waiting and found.alive
        if kept:
            _waiting.append(found)
    if not kept:
        found.end()


@atexit.register
def _end_all() -> None:
    while _waiting:
        _waiting.pop().end()
