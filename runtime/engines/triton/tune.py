"""tune: which blocks, warps, stages and registers of a launch are fastest on this device, timed once and kept on disk.

The choice changes which sums are made in which order, and so the last bits of a result; PATTERNC_TUNE=0 keeps to the
table of compiler/kernels/launch.py, which is the same everywhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from dataclasses import asdict, astuple, dataclass, field
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from ....compiler.kernels import launch
from ....compiler.lowering.stored import compiler_digest
from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Program
from ...cache import read_record, write_record
from .kernel_run import KernelRun
from .launching import interpreted, machine

Timer: TypeAlias = Callable[[Callable[[], object]], float]
"""The seconds of a function, typically."""


class Trial(Protocol):
    """A launch that can be repeated with other options."""

    def __call__(self, options: launch.Options) -> object: ...

    def build(self, options: launch.Options) -> object:
        """Compile its kernels, and launch nothing."""


KIND = "launch"
LEAST_KEYS = 1024
"""Shorter sequences are over before a clock tells candidates apart: they run as the table says."""

_LIBRARY = ("block_math.py", "joining.py", "lanes.py", "memory.py", "orders.py", "places.py", "tiles.py")


@dataclass(eq=False)
class Tuning:
    """Choices of this process, made by ``timer``, from and to records in ``directory`` (None: the user's cache)."""

    timer: Timer
    directory: Path | None = None
    _made: dict[tuple[object, ...], launch.Options] = field(default_factory=dict)

    def choose(self, run: KernelRun, q: Tensor, trial: Trial) -> launch.Options:
        """The fastest options for launches like this one, of a few that fit."""
        question = _Question.of(run, q)
        key = (*(Pinned(member.program) for member in run.members), question)
        if key not in self._made:
            candidates = _candidates(run, q)
            subject = {name: str(value) for name, value in asdict(question).items()} | {"programs": _programs(run)}
            kept = read_record(KIND, subject, _circumstances(candidates), self.directory)
            found = _listed(kept, candidates)
            if found is None:
                seconds = _timed(candidates, trial, self.timer)
                found = min(seconds, key=seconds.__getitem__)
                value = {"fastest": astuple(found), "seconds": [[astuple(one), took] for one, took in seconds.items()]}
                write_record(KIND, subject, _circumstances(candidates), value, self.directory)
            self._made[key] = found
        return self._made[key]


@dataclass(frozen=True, slots=True)
class _Question:
    """What a choice is about, beside the programs. Lengths and batches are not in it, except that few rows are packed
    or make a smaller block: these are launches of another kind."""

    kernel: str
    head_dim: int
    dtype: torch.dtype
    device: str
    variant: launch.Variant
    block: int

    @staticmethod
    def of(run: KernelRun, q: Tensor) -> _Question:
        call = run.part.call
        variant = launch.Variant(
            spans=run.part.spans is not None,
            packed=call.documents is not None,
            softcap=call.softcap or 0.0,
            pack=run.pack,
            owned=run.owners is not None,
            add=run.add,
            alone=run.alone(q),
            delta=run.delta,
            table=run.part.call.listed is not None,
        )
        device = torch.cuda.get_device_name(q.device) if q.is_cuda else q.device.type
        return _Question(f"{run.role}_{run.index}", q.shape[3], q.dtype, device, variant, run.options.block_q)


def _listed(kept: Any, candidates: Sequence[launch.Options]) -> launch.Options | None:
    """The candidate that a record names."""
    named = kept.get("fastest") if isinstance(kept, dict) else None
    return next((one for one in candidates if list(astuple(one)) == named), None)


def _timed(candidates: Sequence[launch.Options], trial: Trial, timer: Timer) -> dict[launch.Options, float]:
    """Seconds of each candidate that fits the device; raises what the last one raised if none does."""
    from triton.runtime.errors import OutOfResources, PTXASError

    _build(candidates, trial)
    seconds: dict[launch.Options, float] = {}
    for one in candidates:
        try:
            seconds[one] = timer(partial(trial, one))
        except (OutOfResources, PTXASError):
            if one == candidates[-1] and not seconds:
                raise
    return seconds


def _build(candidates: Sequence[launch.Options], trial: Trial) -> None:
    """Compile them side by side: Triton's compiler leaves Python's lock while it works. What fails does so again, and
    is told, when it is launched."""
    from triton import AsyncCompileMode

    def build() -> None:
        with ThreadPoolExecutor(len(candidates)) as pool, ExitStack() as stack:
            with suppress(RuntimeError):  # the caller has such a mode, which is as good
                stack.enter_context(AsyncCompileMode(pool, ignore_errors=True))
            for one in candidates:
                trial.build(one)

    copy_context().run(build)  # the mode is a context variable, which an interrupt would leave set


def tuning_for(device: torch.device) -> Tuning | None:
    """The tuning of this process; None where nothing is timed: on a CPU, in the interpreter, while a CUDA graph is
    captured, and with PATTERNC_TUNE=0."""
    if device.type != "cuda" or interpreted() or os.environ.get("PATTERNC_TUNE", "1").lower() in ("0", "off", "false"):
        return None
    return None if torch.cuda.is_current_stream_capturing() else _process_wide()


@lru_cache(maxsize=1)
def _process_wide() -> Tuning:
    return Tuning(_on_the_device)


def _on_the_device(run: Callable[[], object]) -> float:
    from triton.testing import do_bench

    return float(do_bench(run, warmup=5, rep=25, return_mode="median")) / 1000


def worth_tuning(run: KernelRun) -> bool:
    """Whether a launch is long enough to be timed."""
    return run.part.keys >= LEAST_KEYS and run.blocks * run.bundles > 0


def _candidates(run: KernelRun, q: Tensor) -> tuple[launch.Options, ...]:
    shared = machine(q.device).shared // len(run.members)
    tile, vector = run.form
    found = launch.candidates(run.role, tile, q.shape[3], q.element_size(), shared, run.options, vector=vector)
    return tuple(one for one in found if one.block_q >= run.pack)


def _programs(run: KernelRun) -> str:
    return " ".join(f"{_digest(Pinned(member.program))}:{member.owner}" for member in run.members)


@lru_cache(maxsize=256)
def _digest(pinned: Pinned[Program]) -> str:
    return hashlib.sha256(repr(pinned.program).encode()).hexdigest()


def _circumstances(candidates: Sequence[launch.Options]) -> dict[str, str]:
    """What a choice was made under: other kernels or other candidates make it stale."""
    return {
        "patternc": _library_digest(),
        "triton": version("triton"),
        "torch": torch.__version__,
        "candidates": str([astuple(one) for one in candidates]),
    }


@lru_cache(maxsize=1)
def _library_digest() -> str:
    content = hashlib.sha256(compiler_digest().encode())
    for name in _LIBRARY:
        content.update((Path(__file__).parent / name).read_bytes())
    return content.hexdigest()
