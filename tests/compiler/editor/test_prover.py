"""The process that proves: one question at a time, and always an answer or Stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from patternc.compiler.editor import prover as module
from patternc.compiler.editor.buffers import Buffers
from patternc.compiler.editor.prover import Prover, Stopped
from patternc.compiler.editor.question import Question, Task
from patternc.compiler.editor.reading import read
from patternc.compiler.editor.worker import answer
from patternc.compiler.verify.result import Result, Status
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.syntax import BoundPattern, BoundPlan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests stop a process by signals")

TEXT = "pattern p causal { step local(4) prove nonempty prove not reach in 1 step } plan m { layers 0 : p prove reach }"


def test_a_worker_has_the_oracle_before_a_question_asks_for_it() -> None:
    code = "import sys, patternc.compiler.editor.worker; print('patternc.compiler.verify.oracle.claims' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def bound() -> tuple[BoundPattern | BoundPlan, ...]:
    return read(Source("main.pat", TEXT), Buffers().read).bound


def with_prover(work: Callable[[Prover], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        prover = Prover()
        async with asyncio.timeout(120):
            try:
                await work(prover)
            finally:
                await prover.close()
        assert prover.pid is None

    asyncio.run(run())


def test_verdicts_and_figures() -> None:
    pattern, plan = bound()

    async def work(prover: Prover) -> None:
        answers: list[Any] = []
        questions = [Question(task, pattern) for task in Task] + [Question(Task.PROVE, plan)]
        await asyncio.gather(*(prover.ask(question, answers.append, 60) for question in questions))
        proved, figures, cache, planned = answers
        assert [result.status for result in proved] == [Status.PROVED, Status.PROVED]
        assert figures.keys.formula == "min(4, n)" and figures.density == pytest.approx(4 / 2048.5, rel=0.01)
        assert cache.formula == "min(4, n)"
        assert [result.status for result in planned] == [Status.REFUTED]

    with_prover(work)


def test_a_process_that_dies_is_replaced() -> None:
    pattern, _ = bound()

    async def work(prover: Prover) -> None:
        await prover.start()
        assert prover.pid is not None
        os.kill(prover.pid, signal.SIGKILL)
        with pytest.raises(Stopped):
            await prover.ask(Question(Task.PROVE, pattern), lambda _: pytest.fail("there is no answer"), 60)
        await proves(prover, pattern)

    with_prover(work)


def test_a_process_that_hangs_is_replaced() -> None:
    pattern, _ = bound()

    async def work(prover: Prover) -> None:
        await prover.start()
        assert prover.pid is not None
        os.kill(prover.pid, signal.SIGSTOP)
        with pytest.raises(Stopped):
            await prover.ask(Question(Task.PROVE, pattern), lambda _: pytest.fail("there is no answer"), 0.01)
        await proves(prover, pattern)

    with_prover(work)


def test_what_nobody_waits_for_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, _ = bound()
    monkeypatch.setattr(module, "GRACE", 0.01)

    async def work(prover: Prover) -> None:
        await prover.start()
        first = prover.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        abandoned = asyncio.create_task(prover.ask(Question(Task.PROVE, pattern), lambda _: pytest.fail("stopped"), 60))
        while not prover.busy:
            await asyncio.sleep(0)
        abandoned.cancel()
        await proves(prover, pattern)
        assert abandoned.cancelled() and prover.pid != first

    with_prover(work)


def test_an_answer_that_nobody_waits_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, plan = bound()
    monkeypatch.setattr(module, "GRACE", 60)

    async def work(prover: Prover) -> None:
        kept: list[Any] = []
        abandoned = asyncio.create_task(prover.ask(Question(Task.PROVE, pattern), kept.append, 60))
        while not prover.busy:
            await asyncio.sleep(0)
        abandoned.cancel()
        await prover.ask(Question(Task.PROVE, plan), kept.append, 60)
        assert [len(results) for results in kept] == [2, 1]

    with_prover(work)


def test_a_tree_too_deep_to_be_sent() -> None:
    pattern, _ = bound()
    assert isinstance(pattern, BoundPattern)
    deep: Any = pattern.steps[0].body
    for _ in range(100_000):  # deeper than what any Python lets its own code nest, in C or not
        deep = type(pattern.union)("i", "j", deep, span=deep.span)
    question = Question(Task.PROVE, BoundPattern(pattern.name, pattern.direction, (), (deep,), (), span=pattern.span))

    async def work(prover: Prover) -> None:
        with pytest.raises(Stopped):
            await prover.ask(question, lambda _: pytest.fail("there is no answer"), 60)
        await proves(prover, pattern)

    with_prover(work)


def test_there_are_no_figures_of_a_plan() -> None:
    _, plan = bound()
    with pytest.raises(TypeError, match="no figures of a plan"):
        answer(Question(Task.FIGURES, plan))


async def proves(prover: Prover, pattern: BoundPattern | BoundPlan) -> None:
    answers: list[tuple[Result, ...]] = []
    await prover.ask(Question(Task.PROVE, pattern), answers.append, 60)
    assert [result.status for result in answers[0]] == [Status.PROVED, Status.PROVED]
