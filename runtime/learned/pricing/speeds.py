"""How fast this machine attends over lists, each way: measured once by the functions themselves, and kept on disk.

As the probe of compose (``runtime/engines/compose/pricing/probe.py``): one thread, its own CPU time, the fastest of
some rounds, and non-negative rates that fit relative errors best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ...engines.compose.pricing.probe import fit_rates, processor, versions
from ...measured import Measured, rate
from ..lists.key_lists import Bounds, KeyLists
from ..running import densely, gathered
from ..running.gathered import Rows
from ..running.products import Scores
from .effort import DenseEffort, ListEffort, ListRates, Speeds, dense_effort, list_effort

SAMPLES = 2
"""To be raised when samples or efforts change: rates that were found earlier are then measured anew."""

WIDTHS, ROUNDS = (32, 96), 3
_HEADS, _KEY_HEADS = 4, 2


@dataclass(frozen=True, slots=True)
class _Sample:
    """n tokens; tiles of ``tile`` queries read ``slots`` entries of ``block`` keys each; tile 0: all queries do."""

    n: int
    tile: int
    block: int
    slots: int
    summaries: bool = False
    causal: bool = True


_SAMPLES = (
    _Sample(64, 16, 16, 4),
    _Sample(256, 32, 32, 2),
    _Sample(256, 32, 32, 8),
    _Sample(512, 64, 64, 4),
    _Sample(512, 16, 16, 8),
    _Sample(768, 32, 32, 12),
    _Sample(256, 0, 1, 32),
    _Sample(512, 0, 1, 256),
    _Sample(256, 16, 1, 64),
    _Sample(512, 64, 1, 128),
    _Sample(512, 0, 1, 32, summaries=True),
    _Sample(256, 32, 32, 4, causal=False),
    _Sample(768, 64, 64, 4, causal=False),
)


def these_speeds(dtype: torch.dtype) -> Speeds:
    """Of this machine: assumed, known, kept on disk or measured now, which takes a second, once."""
    return MEASURED.of(str(dtype).removeprefix("torch."))


def _about(dtype: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"processor": processor(), "dtype": dtype}, {**versions(), "samples": str(SAMPLES)}


def _measure(dtype: str) -> dict[str, Any]:
    return measure(dtype)


def _read(name: str, value: dict[str, Any]) -> Speeds:
    forward, backward = (
        ListRates(ListEffort(*map(rate, value[way]["lists"])), DenseEffort(*map(rate, value[way]["dense"])))
        for way in _WAYS
    )
    return Speeds(name, forward, backward, rate(value["error"]))


MEASURED = Measured("lists", _about, _measure, _read, "lists were measured badly on this machine, off by up to {error}")
assume = MEASURED.assume

_WAYS = ("forward", "backward")


def measure(dtype: str) -> dict[str, Any]:
    """Rates as plain data: forward, backward, error."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = {way: _rates(getattr(torch, dtype), backward=way == "backward") for way in _WAYS}
    finally:
        torch.set_num_threads(before)
    value: dict[str, Any] = {way: {"lists": lists, "dense": dense} for way, (lists, dense, _) in found.items()}
    return value | {"error": max(error for _, _, error in found.values())}


def _rates(dtype: torch.dtype, *, backward: bool) -> tuple[list[float], list[float], float]:
    cases = [_case(sample, dim, dtype, backward=backward) for dim in WIDTHS for sample in _SAMPLES]
    found, errors = [], []
    for way in (0, 1):
        times = np.full(len(cases), math.inf)
        for _ in range(ROUNDS):
            for at, case in enumerate(cases):
                times[at] = min(times[at], _seconds(case[way][0]))
        rates, error = fit_rates(np.array([case[way][1] for case in cases]), times)
        found.append(rates)
        errors.append(error)
    return found[0], found[1], max(errors)


def _seconds(run: Callable[[], object]) -> float:
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


Timed = tuple[Callable[[], object], tuple[float, ...]]


def _case(sample: _Sample, dim: int, dtype: torch.dtype, *, backward: bool) -> tuple[Timed, Timed]:
    """Something to run, and what it asks for: as lists, and densely."""
    draw = torch.Generator().manual_seed(0)
    q, grad, out = (torch.randn(1, _HEADS, sample.n, dim, generator=draw).to(dtype) for _ in range(3))
    k, v = (torch.randn(1, _KEY_HEADS, sample.n, dim, generator=draw).to(dtype) for _ in range(2))
    lists = _lists(sample, k, v)
    scores = Scores(dim**-0.5)
    wide = torch.promote_types(dtype, torch.float32)
    acc, lse = out.to(wide), torch.zeros(q.shape[:3], dtype=wide)
    efforts = tuple(list_effort(lists, q, _KEY_HEADS)), tuple(dense_effort([lists], q, k))
    if not backward:
        return (
            (lambda: gathered.add(lists, q, k, v, acc, lse, scores), efforts[0]),
            (lambda: densely.add([lists], q, k, v, acc, lse, scores), efforts[1]),
        )
    column = torch.full((1, _HEADS, sample.n, 1), 10.0, dtype=wide)
    whole = Rows(acc, grad.to(wide), column, column, None)
    sums = torch.zeros_like(acc), torch.zeros(k.shape, dtype=wide), torch.zeros(k.shape, dtype=wide)
    return (
        (lambda: gathered.gradients(lists, q, k, v, whole, sums, scores, gates=False), efforts[0]),
        (lambda: list(densely.gradients([lists], q, k, v, whole, sums, scores)), efforts[1]),
    )


def _lists(sample: _Sample, k: torch.Tensor, v: torch.Tensor) -> KeyLists:
    draw = torch.Generator().manual_seed(1)
    n, count = sample.n, sample.slots if sample.summaries else -(-sample.n // sample.block)
    tiles = -(-n // sample.tile) if sample.tile else 1
    order = torch.rand(1, _KEY_HEADS, tiles, count, generator=draw).argsort(-1)
    entries = order[..., : sample.slots].sort(-1).values
    lengths = torch.tensor([n])
    bounds = Bounds(lengths, lengths, sample.causal, {"n": lengths})
    found = KeyLists(bounds, sample.tile, sample.block, entries, gate=torch.zeros(entries.shape))
    if not sample.summaries:
        return found
    some = slice(0, count)
    bounds = replace(bounds, keys=torch.tensor([count]), causal=False)
    return replace(found, bounds=bounds, keys=k[:, :, some], values=v[:, :, some], log_size=torch.zeros(1, count))
