"""A pattern beside its rivals: first that it is right, then seconds in turns, and what was predicted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...compiler.explain.prediction import Choice, Prediction
from ...compiler.pattern import Pattern
from ...compiler.relations.membership import membership
from ...compiler.selection import UsageError, title
from ..compile import compile as compile_pattern
from ..compiled import Compiled
from ..errors import EngineError, in_a_line
from .clock import calls_of, interleaved
from .inputs import Inputs, forward, forward_backward
from .rivals import BOTH, FORWARD, RIVALS, Rival
from .spread import Spread

OURS = "patternc"
_ROWS = 16
_TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@dataclass(frozen=True, slots=True)
class Settings:
    """``against``: names of rivals. ``rounds``: how often everything is timed."""

    lengths: tuple[int, ...]
    against: tuple[str, ...] = ("dense",)
    device: str = "cpu"
    dtype: str = "float32"
    batch: int = 1
    heads: int = 4
    head_dim: int = 64
    backward: bool = False
    rounds: int = 7


@dataclass(frozen=True, slots=True)
class Measured:
    """One pass at one length beside one rival. Seconds; ``ratio`` is how many times faster ours was, round by round.

    ``way``, ``predicted`` and ``rival_predicted`` are of the engine that has a choice, and else None.
    """

    n: int
    direction: str
    rival: str
    ours: Spread
    other: Spread
    ratio: Spread
    way: str | None
    predicted: float | None
    rival_predicted: float | None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """``missing``: who did not run what, and why. ``load``: of the machine in the minute before; None: not known."""

    pattern: str
    engine: str
    machine: str
    threads: int
    load: float | None
    settings: Settings
    measured: tuple[Measured, ...]
    missing: tuple[str, ...]


class Disagreement(EngineError):
    """What was about to be timed computes something else."""


def side_by_side(pattern: Pattern, settings: Settings, say: Callable[[str], None]) -> SideBySide:
    """Time a pattern under ``auto``. Raises UsageError for settings that cannot be, Disagreement where an output is
    not what the pattern says."""
    _check(settings)
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    dtype = getattr(torch, settings.dtype)
    program = compile_pattern(pattern, head_dim=settings.head_dim, dtype=dtype, device=settings.device)
    measured: list[Measured] = []
    missing: list[str] = []
    for n in settings.lengths:
        shape = (settings.batch, settings.heads, n, settings.head_dim)
        inputs = Inputs.draw(shape, settings.device, dtype)
        say(f"n = {n}: checking")
        check(pattern, program, inputs)
        rivals: dict[str, Rival] = {}
        for name in settings.against:
            say(f"n = {n}: preparing {name}")
            try:
                rivals[name] = RIVALS[name](pattern, inputs)
            except Exception as error:  # noqa: BLE001 - whatever a rival raises is told, and the others are timed
                missing.append(f"{name} at n = {n}: {in_a_line(error)}")
        say(f"n = {n}: timing")
        measured += _timed(program, inputs, rivals, settings, missing)
    where = torch.cuda.get_device_name() if settings.device == "cuda" else _processor()
    found = tuple(dict.fromkeys(missing))
    return SideBySide(
        title(pattern.bound), program.engine, where, torch.get_num_threads(), load, settings, tuple(measured), found
    )


def _check(settings: Settings) -> None:
    if not settings.against:
        raise UsageError(f"no rival; choose of {', '.join(RIVALS)}")
    if len(set(settings.against)) < len(settings.against):
        raise UsageError(f"a rival is named twice in {', '.join(settings.against)}")
    unknown = [name for name in settings.against if name not in RIVALS]
    if unknown:
        raise UsageError(f"unknown rival {unknown[0]!r}; choose of {', '.join(RIVALS)}")
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no CUDA or ROCm device here; use --device cpu")


def _processor() -> str:
    from ..engines.compose.pricing.probe import processor

    return processor()


def check(pattern: Pattern, program: Compiled, inputs: Inputs) -> None:
    """Some rows of the output, the first and last among them, against a softmax in float64 over the pattern's pairs,
    as its closed form has them. Raises Disagreement."""
    n = inputs.n
    rows = np.unique(np.linspace(0, n - 1, _ROWS).astype(np.int64))
    keep = torch.from_numpy(membership(pattern.bound.union, pattern.direction, n, n)(rows, np.arange(n)))
    index = torch.from_numpy(rows).to(inputs.q.device)
    q, k, v = (x.double() for x in (inputs.q[:, :, index], inputs.k, inputs.v))
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~keep.to(q.device), -torch.inf)
    expected = scores.softmax(-1).nan_to_num(0.0) @ v  # a row without a key is 0
    error = (forward(program, inputs)()[:, :, index].double() - expected).abs().max().item()
    allowed = _TOLERANCE[inputs.q.dtype]
    if not error <= allowed:  # also where it is NaN
        raise Disagreement(f"{program.name} at n = {n} is off by {error:.1e}, allowed {allowed:.0e}; nothing was timed")


def _timed(
    program: Compiled, inputs: Inputs, rivals: dict[str, Rival], settings: Settings, missing: list[str]
) -> Iterator[Measured]:
    passes = {FORWARD: forward, **({BOTH: forward_backward} if settings.backward else {})}
    runs: dict[tuple[str, str], Callable[[], Any]] = {}
    for direction, make in passes.items():
        runs[direction, OURS] = make(program, inputs)
        for name, rival in rivals.items():
            if direction in rival.missing:
                missing.append(f"{name}: {rival.missing[direction]}")
            else:
                runs[direction, name] = make(rival.attend, inputs)
    calls = {key: calls_of(run, settings.device) for key, run in runs.items()}
    seconds = interleaved(runs, calls, settings.rounds, settings.device)
    predicted = None
    if program.engine == "compose":
        predicted = program.predict(inputs.n, batch=settings.batch, heads=settings.heads)
    for direction, name in runs:
        if name == OURS:
            continue
        ours, other = seconds[direction, OURS], seconds[direction, name]
        ratio = Spread.of([y / x for x, y in zip(ours, other, strict=True)])
        way, own, dense = _predicted(predicted, direction)
        yield Measured(
            inputs.n, direction, name, Spread.of(ours), Spread.of(other), ratio, way, own,
            dense if name == "dense" else None,
        )  # fmt: skip


def _predicted(prediction: Prediction | None, direction: str) -> tuple[str | None, float | None, float | None]:
    """The way, and the seconds of ours and of dense."""
    if prediction is None:
        return None, None, None
    choices: list[Choice] = [prediction.forward, *([prediction.backward] if direction == BOTH else [])]
    way = " + ".join(dict.fromkeys(choice.chosen.name for choice in choices))
    return way, sum(choice.chosen.seconds for choice in choices), sum(choice.dense for choice in choices)
