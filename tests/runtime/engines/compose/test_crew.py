"""A crew: its threads have one thread of torch each, nobody else's number changes, and errors arrive."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import torch

from patternc.runtime.engines.compose.running import crew

THREADS = 3

if crew._library() is None:
    pytest.skip("torch has no OpenMP and MKL here", allow_module_level=True)


@pytest.fixture(autouse=True)
def several() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


def counts() -> tuple[int, int]:
    """Of torch and of MKL, on this thread."""
    return torch.get_num_threads(), ctypes.CDLL(torch._C.__file__).MKL_Get_Max_Threads()


def on_a_new_thread(ask: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    found: Future[tuple[int, int]] = Future()
    thread = threading.Thread(target=lambda: found.set_result(ask()))
    thread.start()
    thread.join()
    return found.result()


def at_once(task: Callable[[], None], threads: int = THREADS) -> list[Callable[[], None]]:
    """So many tasks, each of which waits until all have begun: on threads of their own."""
    barrier = threading.Barrier(threads)

    def run() -> None:
        barrier.wait(timeout=60)
        task()

    return [run] * threads


def test_each_thread_has_one_thread_of_torch_and_nobody_else() -> None:
    seen, elsewhere, names = [], [], set()
    before = counts()
    assert before[0] == THREADS == crew.size()

    def task() -> None:
        names.add(threading.get_ident())
        seen.append(counts())
        elsewhere.append(on_a_new_thread(counts))

    for _ in range(2):
        crew.share_out(at_once(task), THREADS)
        assert counts() == on_a_new_thread(counts) == before
    assert seen == [(1, 1)] * 2 * THREADS
    assert elsewhere == [before] * 2 * THREADS
    assert threading.get_ident() in names and len(names) >= THREADS


def test_a_number_that_is_set_later_counts() -> None:
    crew.share_out(at_once(lambda: None), THREADS)
    torch.set_num_threads(2)
    seen = []
    crew.share_out(at_once(lambda: seen.append(counts()), 2), 2)
    assert counts()[0] == on_a_new_thread(counts)[0] == crew.size() == 2 and seen == [(1, 1)] * 2


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_runs_once(threads: int) -> None:
    done: list[int] = []
    crew.share_out([lambda number=number: done.append(number) for number in range(20)], threads)  # type: ignore[misc]
    assert sorted(done) == list(range(20))
    crew.share_out([], threads)


@pytest.mark.parametrize("where", ["caller", "helper"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_arrives_when_nothing_runs_any_more(where: str, error: type[BaseException]) -> None:
    caller, begun = threading.get_ident(), []
    both, failed = threading.Barrier(2), threading.Event()
    before = counts()

    def task() -> None:
        begun.append("one of two")
        both.wait(timeout=60)
        if (threading.get_ident() == caller) == (where == "caller"):
            failed.set()
            raise error("this one")
        failed.wait(timeout=60)
        begun.append("the other one is done")

    with pytest.raises(error, match="this one"):
        crew.share_out([task, task, *[lambda: begun.append("late")] * 100], 2)
    assert begun[:2] == ["one of two"] * 2 and "the other one is done" in begun
    assert begun.count("late") < 100
    assert counts() == before


@pytest.mark.parametrize("inference", [False, True])
def test_modes_are_those_of_the_caller(inference: bool) -> None:
    seen = []

    def task() -> None:
        x = torch.ones(2, 2)
        seen.append((torch.is_inference_mode_enabled(), torch.mm(x, x).dtype))

    with torch.inference_mode(inference), torch.autocast("cpu", torch.bfloat16):
        crew.share_out(at_once(task), THREADS)
    with torch.inference_mode(inference):
        crew.share_out(at_once(task), THREADS)
    assert seen == [(inference, torch.bfloat16)] * THREADS + [(inference, torch.float32)] * THREADS


def test_calls_from_several_threads() -> None:
    """Each is done when it returns, whichever helpers it had."""
    done: list[list[int]] = [[] for _ in range(6)]
    ends: list[int] = []

    def call(mine: list[int]) -> None:
        torch.set_num_threads(THREADS)
        crew.share_out([lambda number=number: mine.append(number) for number in range(50)], THREADS)  # type: ignore[misc]
        ends.append(len(mine))

    threads = [threading.Thread(target=call, args=(mine,)) for mine in done]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert ends == [50] * 6 and all(sorted(mine) == list(range(50)) for mine in done)


def test_where_torch_obeys_nobody_there_is_no_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    crew._library.cache_clear()
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    try:
        assert crew.size() == 1
    finally:
        crew._library.cache_clear()


NEW_PROCESS = """
import os, sys, threading, torch
from patternc.runtime.engines.compose.running import crew
assert crew.size() == 3, crew.size()

def meet():
    barrier, ran = threading.Barrier(2), set()
    def task():
        barrier.wait(timeout=20)
        ran.add(threading.get_ident())
    crew.share_out([task, task], 2)
    assert len(ran) == 2

def elsewhere():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start(); thread.join()
    return found[0]

meet()
assert torch.get_num_threads() == elsewhere() == 3
child = os.fork()
if child == 0:
    try:
        done = []
        crew.share_out([lambda: done.append(1)] * 3, 3)
        os._exit(0 if crew.size() == 1 and len(done) == 3 and torch.get_num_threads() == 3 else 3)
    finally:
        os._exit(4)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
meet()
assert torch.get_num_threads() == elsewhere() == 3
"""


def test_where_nobody_set_a_number_and_in_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has none of OpenMP's threads, and no crew. The number comes from the environment, and was never set."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("MKL_DYNAMIC", "FALSE")  # else no more than there are cores
    run = subprocess.run([sys.executable, "-c", NEW_PROCESS], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
