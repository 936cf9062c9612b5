"""A process that is kept for many requests: one line in, one line out, as ``correctness.py --serve`` does.

What it imports, and the context of a device, are paid for once. A request that ends it, by a fault or since its time is
up, ends no other: the next one has a fresh process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from types import TracebackType
from typing import IO, Any

GRACE = 5.0
"""Seconds that a process has to end by itself once there is nothing left to ask."""


class Ended(Exception):
    """The process ended before it answered; its last words."""


class Worker:
    """A process of ``command``, started when it is first asked, and anew after it has ended."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[str] | None = None

    def ask(self, request: str, seconds: float) -> str:
        """The answer. Raises Ended, and TimeoutError after so many seconds; the process is ended then."""
        process = self._started()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            process.stdin.write(request.encode() + b"\n")
        try:
            return self._line(process, time.monotonic() + seconds)
        except (Ended, TimeoutError):
            self.kill()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
            pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
            self._process = subprocess.Popen(self.command, bufsize=0, start_new_session=True, **pipes)
        return self._process

    def _line(self, process: subprocess.Popen[bytes], end: float) -> str:
        assert process.stdout is not None
        found = b""
        while not found.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            more = os.read(process.stdout.fileno(), 1 << 16)
            if not more:
                raise Ended(self._last_words(process))
            found += more
        return found.decode().strip()

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        assert self._errors is not None
        status = process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"ended with {status}"

    def close(self) -> None:
        """Nothing is left to ask."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self.kill()

    def kill(self) -> None:
        """End the process and what it started."""
        if self._process is not None and self._errors is not None:
            end_group(self._process)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._errors):
                if pipe is not None:
                    pipe.close()
        self._process = self._errors = None


class Workers:
    """Of each command as many workers as are asked at the same time; closed at the end."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, ...], list[Worker]] = defaultdict(list)

    def ask(self, command: tuple[str, ...], request: str, seconds: float) -> str:
        """``Worker.ask`` of one that has nothing else to do. Threads may call it."""
        idle = self._idle[command]
        try:
            worker = idle.pop()
        except IndexError:
            worker = Worker(command)
        try:
            return worker.ask(request, seconds)
        finally:
            idle.append(worker)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for idle in self._idle.values():
            for worker in idle:
                worker.close()


def end_group(process: subprocess.Popen[Any]) -> None:
    """A process that began a session, and what it started: compilers run in processes of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
