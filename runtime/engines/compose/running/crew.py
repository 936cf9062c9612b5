"""Threads that share out the tasks of a call, each with one thread of torch.

torch shares every operation out among its threads by itself, and waits for the last of them at its end. Of many small
operations two threads then save little, where one half of the tasks on each core saves half of the time.

The threads are those of OpenMP, which are torch's own: after each operation they wait in a loop for the next one, for
milliseconds, and threads beside them would find every core taken. How many of them torch takes for an operation is set
for the whole process by ``torch.set_num_threads``, which new threads read. OpenMP and MKL have a count for each thread
besides, which is what torch reads at every operation, and that alone is set here: nobody else is touched. Where torch
runs on something else (macOS, Windows, builds without MKL), there is no crew.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch

Task: TypeAlias = Callable[[], None]

_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
"""What every thread of a parallel region runs."""

_forked: list[bool] = []
"""Not empty in a forked child, which has none of OpenMP's threads, and where OpenMP would wait for them for ever."""


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
    failed: list[BaseException] = []

    def work() -> None:
        while True:
            try:
                task = todo.popleft()
            except IndexError:
                return
            task()

    def body(_: object) -> None:
        try:
            with modes.entered(), one_thread():
                try:
                    work()
                except BaseException:
                    todo.clear()  # at once: the others go on meanwhile
                    raise
        except BaseException as error:  # noqa: BLE001 - nothing may pass through the frames of OpenMP
            failed.append(error)

    library = _library()
    if library is None or len(todo) < 2:
        for task in todo:
            task()
        return
    library.GOMP_parallel(_BODY(body), None, min(threads, len(todo)), 0)
    if failed:
        raise failed[0]


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
    if _forked or not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]  # another BLAS has its own
        return None
    library, before = ctypes.CDLL(torch._C.__file__), torch.get_num_threads()
    try:
        omp, _, _ = library.omp_set_num_threads, library.MKL_Set_Num_Threads_Local, library.GOMP_parallel
    except AttributeError:
        return None
    omp(1)
    obeyed = torch.get_num_threads() == 1
    omp(before)
    return library if obeyed else None


def _in_a_child() -> None:
    _library.cache_clear()
    _forked.append(True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)


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
