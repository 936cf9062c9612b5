"""Threads that share out the tasks of a call, each with one thread of torch.

torch shares every operation out among its threads by itself, and waits for the last of them at its end. Of many small
operations two threads then save little, where one half of the tasks on each core saves half of the time.

How many threads torch takes is set for the whole process by ``torch.set_num_threads``, which new threads read. OpenMP
and MKL have a count for each thread besides, which is what torch reads at every operation, and that alone is set here:
nobody else is touched. Where torch runs on something else (macOS, Windows, builds without MKL), there is no crew.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch

Task: TypeAlias = Callable[[], None]


def size() -> int:
    """How many threads may share a call out, the caller's included: as many as torch has, where each can have one."""
    threads = torch.get_num_threads()
    return threads if threads > 1 and _library() is not None else 1


def share_out(tasks: Iterable[Task], threads: int) -> None:
    """Run the tasks, begun in their order, on this thread and up to ``threads - 1`` others. No two may write to one
    place. Nothing is recorded for autograd; inference mode and autocast are those of this thread.

    The first exception ends it: no further task begins, and it is raised when those that have begun are done.
    """
    todo, modes = deque(tasks), _Modes.here()

    def work() -> None:
        with one_thread():
            try:
                while True:
                    try:
                        task = todo.popleft()
                    except IndexError:
                        return
                    task()
            except BaseException:
                todo.clear()
                raise

    def help_out() -> None:
        with modes.entered():
            work()

    helpers: list[Future[None]] = []
    try:
        # Where no thread can be started (the interpreter ends), all is done here.
        with suppress(RuntimeError):
            helpers += (_pool().submit(help_out) for _ in range(min(threads, len(todo)) - 1))
        work()
    finally:
        todo.clear()
        # Helpers that have not come to it have nothing left to do, and are not waited for.
        helpers = [helper for helper in helpers if not helper.cancel()]
        wait(helpers)
    for helper in helpers:
        helper.result()


@contextmanager
def one_thread() -> Iterator[None]:
    """torch's operations on this thread, and on no other, take one thread. Only where ``size`` is above 1."""
    library = _library()
    assert library is not None
    # Asked before it is set: a thread takes over the number of the process when it is first asked.
    before = torch.get_num_threads()
    library.omp_set_num_threads(1)
    mkl = library.MKL_Set_Num_Threads_Local(1)
    try:
        yield
    finally:
        library.MKL_Set_Num_Threads_Local(mkl)
        library.omp_set_num_threads(before)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """What sets the counts of a thread, found where torch itself finds it; None unless torch obeys."""
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]  # another BLAS has its own threads
        return None
    library, before = ctypes.CDLL(torch._C.__file__), torch.get_num_threads()
    try:
        omp, _ = library.omp_set_num_threads, library.MKL_Set_Num_Threads_Local
    except AttributeError:
        return None
    omp(1)
    obeyed = torch.get_num_threads() == 1
    omp(before)
    return library if obeyed else None


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Its threads start as they are needed, and wait for the next call."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="patternc")


if hasattr(os, "register_at_fork"):
    # A child has none of these threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


@dataclass(frozen=True, slots=True)
class _Modes:
    """What torch keeps for each thread and tells how a call is computed."""

    inference: bool
    autocast: torch.dtype | None

    @classmethod
    def here(cls) -> _Modes:
        autocast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        return cls(torch.is_inference_mode_enabled(), autocast)

    @contextmanager
    def entered(self) -> Iterator[None]:
        with ExitStack() as modes:
            modes.enter_context(torch.inference_mode() if self.inference else torch.no_grad())
            if self.autocast is not None:
                modes.enter_context(torch.autocast("cpu", self.autocast))
            yield
