"""The clock: everything that is compared takes turns in one run, and repeats until the machine's noise is visible.

Every round runs everything once, every other round in reverse order, so that a machine that slows down slows all of
them. Seconds of one run may be divided by each other; seconds of two runs may not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)
Run = Callable[[], Any]
Timer = Callable[[], float]

SHORTEST = {"cpu": 0.01, "cuda": 0.05}
"""Seconds that one measurement takes at least, by repeating the call: a clock and a launch do not disturb it then. A
GPU waits for the first launch, and the clock for word of the last."""


def interleaved(
    runs: Mapping[Key, Run],
    calls: Mapping[Key, int],
    rounds: int,
    device: str = "cpu",
    timer: Timer = time.perf_counter,
) -> dict[Key, list[float]]:
    """Seconds of one call of each of ``runs``, one figure per round; warmed up by ``calls_of`` before."""
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    order = list(runs)
    for index in range(rounds):
        for key in order if index % 2 == 0 else reversed(order):
            seconds[key].append(seconds_of(runs[key], calls[key], device, timer))
    return seconds


def calls_of(run: Run, device: str = "cpu", timer: Timer = time.perf_counter) -> int:
    """Warm up, and count the calls that fill the shortest measurement. Raises what ``run`` raises."""
    run()
    shortest = SHORTEST["cuda" if device == "cuda" else "cpu"]
    seconds = seconds_of(run, 1, device, timer)
    if seconds < shortest:
        seconds = min(seconds, seconds_of(run, 1, device, timer))
    return max(1, min(100, round(shortest / max(seconds, 1e-9))))


def seconds_of(run: Run, calls: int = 1, device: str = "cpu", timer: Timer = time.perf_counter) -> float:
    """Of one call, as the mean of ``calls`` calls in a row; on a GPU until the last one has ended.

    ``timer`` may be ``time.thread_time``, where one thread does all of the work: other processes hardly disturb it.
    """
    synchronise(device)
    begin = timer()
    for _ in range(calls):
        run()
    synchronise(device)
    return (timer() - begin) / calls


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
