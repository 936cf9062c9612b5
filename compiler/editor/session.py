"""An editor's session: texts are read as they change, and proved in the background, what changed and nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.syntax import BoundPattern
from ..explain.counts import Bound
from ..pattern import find_import
from ..verify.guard import TIME_LIMIT
from ..verify.result import Result, Status
from .buffers import Buffers, Document
from .diagnostics import findings
from .figures import Figures
from .files import built_in
from .prover import Prover, Stopped
from .question import Question, Task
from .symbols import Names
from .verdicts import Subject, Verdicts, meaning, with_claims

PAUSE = 0.05
"""Seconds without a change before anything is proved."""

HOVER = 0.15
"""Seconds that a hover waits for figures; those that come later are there at the next one."""

LEAST = 1.0
"""Seconds that each claim gets, even where those before it have used up the time of the pattern."""

_QUICK = 0.05
_LONGEST_WAIT = 2.0
_MOST_FIGURES = 512

_log = logging.getLogger(__name__)


class Session:
    """``show`` is told of each document whose findings changed, ``checked`` when all its claims have verdicts."""

    def __init__(self, show: Callable[[Document], None], checked: Callable[[Document], None]) -> None:
        self.show, self.checked = show, checked
        self.buffers = Buffers()
        self.verdicts = Verdicts()
        self.prover = Prover()
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._figures: dict[tuple[Task, Subject], asyncio.Task[Any]] = {}

    async def start(self) -> None:
        """What the first text would have to wait for: the grammar, and the process of the proofs."""
        built_in()
        await self.prover.start()

    # --- texts ---

    def put(self, uri: str, path: Path | None, text: str, version: int | None) -> None:
        """A text that was opened or changed."""
        document = self.buffers.put(uri, path, text, version)
        self._check_soon(document)
        if path is not None:
            self.touched({path})

    def close(self, uri: str) -> None:
        """The disk counts again."""
        document = self.buffers.documents.pop(uri, None)
        if uri in self._checks:
            self._checks.pop(uri).cancel()
        if document is not None and document.path is not None:
            self.touched({document.path})

    def touched(self, files: set[Path]) -> None:
        """Files that changed, on the disk or in a buffer: what imports them is read again."""
        for document in self.buffers.importers(files):
            self._check_soon(document)

    async def end(self) -> None:
        running = [*self._checks.values(), *self._figures.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self.prover.close()

    def names(self, document: Document) -> Names:
        """The names that the text can use, as it is now."""
        return Names(document.outline, partial(find_import, reader=self.buffers.read))

    # --- checks ---

    def _check_soon(self, document: Document) -> None:
        if document.uri in self._checks:
            self._checks[document.uri].cancel()
        self._checks[document.uri] = _begun(self._check(document))

    async def _check(self, document: Document) -> None:
        # A text that takes long to read waits as long for the next change: so the changes never pile up.
        await asyncio.sleep(min(document.seconds, _LONGEST_WAIT) if document.seconds > _QUICK else 0)
        try:
            reading = self.buffers.analyse(document)
        except PatternError as error:
            document.reading = None
            document.found = findings(error.diagnostics, (), error.diagnostics[0].span.source)
            self.show(document)
            self.checked(document)
            return
        self.show_known(document)
        if any(self.verdicts.missing(subject) for subject in reading.bound):
            await asyncio.sleep(PAUSE)
        for subject in reading.bound:
            left = self.verdicts.missing(subject)
            if left is not None:
                await self._prove(document, left)
        self.checked(document)

    async def _prove(self, document: Document, subject: Subject) -> None:
        """The verdicts on all claims of a subject, each shown as soon as it is known."""
        for key, task in list(self._figures.items()):  # proofs come first: figures are asked for again
            if not task.done():
                task.cancel()
                del self._figures[key]
        end = time.monotonic() + TIME_LIMIT
        for claim in subject.claims:
            one = with_claims(subject, (claim,))
            seconds = max(LEAST, end - time.monotonic())
            try:
                await self.prover.ask(Question(Task.PROVE, one), partial(self.verdicts.add, one), seconds)
            except Stopped:
                self.verdicts.add(one, undecided(one, seconds))
            self.show_known(document, again=False)

    def statuses(self, document: Document) -> list[Status]:
        """How the proofs of a text stand, as far as there are verdicts."""
        bound = document.reading.bound if document.reading else ()
        return [result.status for subject in bound for result in self.verdicts.of(subject) if result is not None]

    def show_known(self, document: Document, *, again: bool = True) -> None:
        """What is wrong with a text as far as it is known; not ``again`` where that is what was shown last."""
        reading = document.reading
        assert reading is not None
        known = [result for subject in reading.bound for result in self.verdicts.of(subject) if result is not None]
        before, document.found = document.found, findings(reading.errors, known, reading.source)
        if again or document.found != before:
            self.show(document)

    # --- figures ---

    async def figures(self, pattern: BoundPattern) -> tuple[Figures | None, Bound | None]:
        """What is known of the costs of a pattern after a short wait, each None where it is not known, or there is
        none."""
        asked = [self._figure(task, pattern) for task in (Task.FIGURES, Task.CACHE)]
        await asyncio.wait(asked, timeout=HOVER)
        known = [task.result() if task.done() and not task.cancelled() else None for task in asked]
        return known[0], known[1]

    def _figure(self, task: Task, pattern: BoundPattern) -> asyncio.Task[Any]:
        key = (task, meaning(pattern))
        if key not in self._figures:
            if len(self._figures) >= _MOST_FIGURES:
                self._figures.pop(next(iter(self._figures))).cancel()
            self._figures[key] = _begun(self._computed(Question(task, pattern)))
        return self._figures[key]

    async def _computed(self, question: Question) -> Any:
        answers: list[Any] = []
        try:
            await self.prover.ask(question, answers.append, TIME_LIMIT)
        except Stopped:
            return None
        return answers[0]


def undecided(subject: Subject, seconds: float) -> tuple[Result, ...]:
    """The verdicts on claims whose proof ended without one."""
    note = f"the proof was stopped after {seconds:.0f} seconds, ran out of memory, or failed as the server's log tells"
    texts = (" ".join(claim.span.text.split()).removeprefix("prove ") for claim in subject.claims)
    return tuple(
        Result(claim, text, Status.UNKNOWN, explanation=note) for claim, text in zip(subject.claims, texts, strict=True)
    )


def _begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task whose failure is logged at once, not when nobody is left to be told."""
    task = asyncio.create_task(work)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a check failed", exc_info=error)
