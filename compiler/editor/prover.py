"""The process of ``worker``, seen from the server: one question at a time, and a process that hangs is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .question import HEADER, Question, packed, size, unpacked

GRACE = 0.5
"""Seconds that a computation whose answer nobody awaits any more may keep the next question waiting."""


class Stopped(Exception):
    """The process ended without an answer: it took too long, ran out of memory, or failed (its stderr says why)."""


class Prover:
    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._running: asyncio.Task[Any] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, where one runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    @property
    def busy(self) -> bool:
        return self._running is not None and not self._running.done()

    async def start(self) -> None:
        """Start the process before the first question, which then need not wait for it."""
        async with self._turn:
            await self._started()

    async def ask(self, question: Question, keep: Callable[[Any], None], seconds: float) -> None:
        """Answers a question by a call of ``keep``, also where the caller has been cancelled meanwhile. Raises
        Stopped, at the latest after so many seconds of work on it."""
        async with self._turn:
            await self._leave_abandoned()
            self._running = asyncio.create_task(self._answered(question, keep, seconds))
            await asyncio.shield(self._running)

    async def close(self) -> None:
        self._kill()
        if self._process is not None:
            await self._process.wait()

    async def _leave_abandoned(self) -> None:
        """Where the one who asked last was cancelled, the process may still be at it."""
        if self._running is None or not self.busy:
            return
        await asyncio.wait([self._running], timeout=GRACE)
        if not self._running.done():
            self._kill()
            await asyncio.wait([self._running])
        self._running.exception()  # nobody else asks for it

    async def _answered(self, question: Question, keep: Callable[[Any], None], seconds: float) -> None:
        try:
            content = packed(question)
        except RecursionError:  # a tree too deep for pickle is too deep for a proof
            raise Stopped from None
        process = await self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(content)
                await process.stdin.drain()
                header = await process.stdout.readexactly(HEADER)
                content = await process.stdout.readexactly(size(header))
        except (TimeoutError, asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            self._kill()
            await process.wait()
            raise Stopped from None
        keep(unpacked(content))

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            command = [sys.executable, "-m", f"{__package__}.worker"]
            # In a session of its own, so that it and what it starts end together.
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        return self._process

    def _kill(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        if sys.platform == "win32":
            process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
