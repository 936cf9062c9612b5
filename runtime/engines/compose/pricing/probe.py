"""The probe: a few dozen small batches of blocks and diagonals, run by the engine itself, and the rates that explain
their times.

Whatever a batch costs here is in its time: the views, the kernel, merging and copying. One thread runs them, and its
own CPU time is taken, which other processes hardly disturb. Caches are cold, as between the layers of a model. The
rates are the non-negative least squares fit of relative errors, so that short batches count as much as long ones.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..... import __version__
from .....compiler.passes.program import NATURAL
from ...engine import Call
from ...guard import Keys, Queries
from ..plan.block import Block
from ..plan.diagonal import Diagonal, Diagonals
from ..plan.effort import Effort
from ..plan.place import Gathered, Place, Side
from ..plan.stage import Biases, Stage, Stages
from ..plan.tiles import Tiles
from ..running.stages import stages_backward, stages_forward
from .price import Heads, Price
from .rates import Machine, Rates

PROBE = 11
"""To be raised when samples or efforts change: rates that an earlier probe found are then measured anew."""

WIDTHS = (32, 128)
"""Head dimensions that are measured; between and beyond them rates are linear."""

ROUNDS, MOST_ROUNDS = 3, 9
"""Each round runs every sample. The fastest counts, for whatever else runs on the machine only adds; where the fit is
not good, more rounds follow."""

GOOD = 0.4
"""An error of the fit that will do."""

APART = 4
"""Of so many tokens one is gathered."""

FAR = 1 << 21
"""Numbers that are rewritten before a sample: as many bytes as a core's own cache holds, and more."""


@dataclass(frozen=True, slots=True)
class _Sample:
    rows: int
    keys: int
    tiles: int = 1
    masked: bool = False
    fresh: bool = True
    gathered: bool = False
    triangle: bool = False
    group: int = 1
    diagonals: int = 0  # so many of them, in place of blocks


_SAMPLES = (
    _Sample(1, 1),
    _Sample(8, 64),
    _Sample(32, 32, tiles=4),
    _Sample(32, 512),
    _Sample(64, 128),
    _Sample(128, 128),
    _Sample(128, 512),
    _Sample(256, 512),
    _Sample(768, 768, triangle=True),
    _Sample(1024, 32),
    _Sample(512, 4),
    _Sample(64, 64, tiles=16),
    _Sample(128, 512, masked=True),
    _Sample(256, 512, masked=True),
    _Sample(192, 1216, masked=True),
    _Sample(128, 1152, tiles=4, masked=True),
    _Sample(768, 1024, masked=True),
    _Sample(256, 1024),
    _Sample(32, 47, tiles=16, masked=True),
    _Sample(32, 160, tiles=16, masked=True),
    _Sample(1024, 1024, triangle=True),
    _Sample(128, 64, fresh=False),
    _Sample(1024, 8, fresh=False),
    _Sample(32, 256, gathered=True),
    _Sample(64, 512, gathered=True),
    _Sample(8, 512, gathered=True),
    _Sample(16, 16, tiles=3, group=2),
    _Sample(8, 8, tiles=4, group=2, masked=True),
    _Sample(64, 64, diagonals=1),
    _Sample(64, 64, diagonals=12),
    _Sample(1024, 1024, diagonals=3, fresh=False),
    _Sample(1024, 1024, diagonals=12),
    _Sample(2048, 2048, diagonals=6, group=2),
)
_HEADS = 4
_COUNTING = Machine("one that only counts", Rates(*Effort()), Rates(*Effort()), 0.0)

Matrix = NDArray[np.float64]


def measure(dtype: str) -> dict[str, Any]:
    """Rates of a data type as plain data: forward, backward, error.

    ``error`` is the largest relative error of the fit on its samples.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        forward, backward = (_measure(getattr(torch, dtype), backward=backward) for backward in (False, True))
    finally:
        torch.set_num_threads(before)
    return {"forward": forward[0]._asdict(), "backward": backward[0]._asdict(), "error": max(forward[1], backward[1])}


def _measure(dtype: torch.dtype, *, backward: bool) -> tuple[Rates, float]:
    """The rates, and the error of the fit; where it is large, what is measured next may be better."""
    cases = [_case(sample, dim, dtype, backward=backward) for dim in WIDTHS for sample in _SAMPLES]
    efforts, seconds = np.array([effort for _, effort in cases]), np.full(len(cases), math.inf)
    far = torch.zeros(FAR)
    for number in range(MOST_ROUNDS):
        for case, (run, _) in enumerate(cases):
            far.add_(1)
            seconds[case] = min(seconds[case], _seconds(run))
        if number + 1 >= ROUNDS:
            rates, error = fit(efforts, seconds)
            if error < GOOD:
                break
    return rates, error


def _seconds(run: Callable[[], object]) -> float:
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def fit(efforts: Matrix, seconds: Matrix) -> tuple[Rates, float]:
    """Non-negative rates with efforts @ rates = seconds, nearly, and the largest relative error."""
    rates, error = fit_rates(efforts, seconds)
    return Rates(*rates), error


def fit_rates(efforts: Matrix, seconds: Matrix) -> tuple[list[float], float]:
    """As ``fit``, of any efforts: one rate for each column."""
    relative = efforts / seconds[:, None]
    scale = np.linalg.norm(relative, axis=0)
    scale[scale == 0] = 1.0  # what no sample asks for costs nothing
    used = list(range(efforts.shape[1]))
    rates = np.zeros(efforts.shape[1])
    while used:  # what would be negative is left out, the worst first
        solution = np.linalg.lstsq(relative[:, used] / scale[used], np.ones(len(seconds)), rcond=None)[0]
        if (solution >= 0).all():
            rates[used] = solution / scale[used]
            break
        del used[int(np.argmin(solution))]
    return rates.tolist(), float(np.abs(relative @ rates - 1).max())


def _case(sample: _Sample, dim: int, dtype: torch.dtype, *, backward: bool) -> tuple[Callable[[], object], Effort]:
    """Something to run, and what it asks for."""
    n = max(sample.rows, sample.keys) * (APART if sample.gathered else sample.tiles)
    heads = _HEADS // sample.group
    draw = torch.Generator().manual_seed(0)
    q, grad, out = (torch.randn(1, _HEADS, n, dim, generator=draw).to(dtype) for _ in range(3))
    k, v = (torch.randn(1, heads, n, dim, generator=draw).to(dtype) for _ in range(2))
    lse = torch.zeros(q.shape[:-1], dtype=torch.promote_types(dtype, torch.float32))
    dq, dk, dv = (torch.zeros_like(x) for x in (q, k, v))
    tiles = Tiles(0, sample.rows, sample.rows, 0, sample.keys, sample.keys, sample.tiles)
    mask = np.tri(sample.rows, sample.keys, dtype=np.bool_) if sample.masked else None
    call, price = Call(dim**-0.5), Price(_COUNTING, Heads(1, heads, sample.group, dim), 1, backward)
    if sample.diagonals:
        each = tuple(Diagonal(-step, step, n, None) for step in range(sample.diagonals))
        diagonals = Diagonals(each, n, sample.fresh)
        return _run((diagonals,), (grad, q, out, lse, dq), (k, v, dk, dv), call, backward=backward), price.diagonals(
            diagonals
        )
    block = Block(0, 0, 1, tiles, mask, sample.triangle)
    place: Place = Side(NATURAL, n)
    if sample.gathered:  # by no rule, so that no runs of them are copied
        within = torch.randint(APART, (sample.keys,), generator=draw)
        place = Gathered(torch.arange(0, APART * sample.keys, APART) + within)
    batch = Biases(dtype).batch(block, fresh=sample.fresh)
    stages = (Stage(Side(NATURAL, n), place, (batch,)),)
    effort = price.block(block, fresh=sample.fresh)
    if sample.gathered:
        effort = Effort.total([effort, price.gathered(0, sample.keys)])
    return _run(stages, (grad, q, out, lse, dq), (k, v, dk, dv), call, backward=backward), effort


def _run(stages: Stages, queries: Queries, keys: Keys, call: Call, *, backward: bool) -> Callable[[], object]:
    if backward:
        return lambda: stages_backward(stages, queries, keys, call)
    _, q, out, lse, _ = queries
    return lambda: stages_forward(stages, q, *keys[:2], (out, lse), call)


def processor() -> str:
    """The processor's model, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """What the rates depend on beside the machine."""
    return {"torch": metadata.version("torch"), "patternc": __version__}
