"""build: prove and lower a pattern, compile its kernels for the targets asked for, and write the artifact."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch

from ..compiler.kernels import aot
from ..compiler.passes.program import Program
from ..compiler.pattern import Pattern
from ..compiler.selection import UsageError
from ..compiler.verify.check import check
from ..compiler.verify.result import Status
from . import artifact
from .compile import compile

Stage = Literal["plan", "triton", "ttir", "ttgir", "llir", "ptx", "cubin", "amdgcn", "hsaco", "report"]
_ALWAYS: tuple[Stage, ...] = ("plan", "triton")
_BY_DEFAULT: tuple[Stage, ...] = ("ptx", "cubin", "hsaco", "report")
_OF_NVIDIA: frozenset[Stage] = frozenset({"ttir", "ttgir", "llir", "ptx", "cubin", "report"})
_OF_AMD: frozenset[Stage] = frozenset({"ttir", "ttgir", "llir", "amdgcn", "hsaco", "report"})

_DTYPES: dict[aot.Dtype, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

NameT = TypeVar("NameT", bound=str)


class RefutedError(ValueError):
    """A claim of the pattern does not hold."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to build. ``targets`` are those with kernels: for ``cpu`` the program itself is all there is to run."""

    length: int
    head_dim: int
    dtype: aot.Dtype
    cpu: bool
    targets: tuple[aot.Target, ...]
    stages: tuple[Stage, ...]

    @classmethod
    def parse(cls, *, length: int, head_dim: int, dtype: str, targets: str, emit: str) -> Request:
        """Comma-separated lists as the command line gives them. Raises UsageError on an unknown or idle word."""
        wanted = _words("--target", targets, ("cpu", *aot.TARGETS))
        gpus = tuple(target for target in aot.TARGETS if target in wanted)
        possible = frozenset(_ALWAYS).union(*(_stages_of(target) for target in gpus))
        stages = _words("--emit", emit, get_args(Stage)) if emit else tuple(s for s in _BY_DEFAULT if s in possible)
        if idle := set(stages) - possible:
            raise UsageError(f"--emit {', '.join(sorted(idle))}: no target of --target {targets} has it")
        dtypes = _words("--dtype", dtype, get_args(aot.Dtype))
        if len(dtypes) != 1:
            raise UsageError(f"--dtype takes one of {', '.join(get_args(aot.Dtype))}, not {dtype!r}")
        return cls(length, head_dim, dtypes[0], "cpu" in wanted, gpus, stages)


def build(pattern: Pattern, request: Request, directory: Path, step: Callable[[str], None]) -> tuple[Path, ...]:
    """Write the artifact and return its files. Raises RefutedError where a claim is refuted: nothing false is built;
    ArtifactError for a folder with files of somebody else's under the same names."""
    artifact.check_free(directory)
    step("proving")
    results = check(pattern)
    if refuted := [result.text for result in results if result.status is Status.REFUTED]:
        raise RefutedError(f"`{refuted[0]}` is refuted: see patternc check, and correct the pattern or the claim")
    step("lowering")
    # The engine does not matter here: every one runs the same program.
    compiled = compile(pattern, head_dim=request.head_dim, dtype=_DTYPES[request.dtype], engine="compose")
    assert compiled.program is not None
    binaries: dict[str, bytes] = {}
    for target in request.targets:
        step(f"kernels for {target}")
        if (positional := artifact.positional(compiled.program)) is not None:
            binaries |= _binaries(positional, request, target)
    ready = artifact.Build(
        pattern=pattern,
        program=compiled.program,
        results=results,
        length=request.length,
        head_dim=request.head_dim,
        dtype=request.dtype,
        targets=(*(("cpu",) if request.cpu else ()), *request.targets),
        binaries=binaries,
    )
    return artifact.save(ready, directory)


def _binaries(program: Program, request: Request, target: aot.Target) -> dict[str, bytes]:
    wanted = set(request.stages) & _stages_of(target) - {"report"}
    if not set(request.stages) & _stages_of(target):
        return {}
    built = aot.build(program, head_dim=request.head_dim, dtype=request.dtype, target=target)
    files: dict[str, bytes] = {}
    for kernel, stages in built.items():
        for stage in wanted:
            content = stages[stage]
            files[f"{target}/{kernel}.{stage}"] = content if isinstance(content, bytes) else content.encode()
    if "report" in request.stages:
        report = {kernel: asdict(stages["report"]) for kernel, stages in built.items()}
        files[f"{target}/report.json"] = (json.dumps(report, indent=2) + "\n").encode()
    return files


def _stages_of(target: str) -> frozenset[Stage]:
    return _OF_AMD if target.startswith("gfx") else _OF_NVIDIA


def _words(option: str, text: str, known: Iterable[NameT]) -> tuple[NameT, ...]:
    words = [word.strip() for word in text.split(",")]
    choices = {str(word): word for word in known}
    if unknown := [word for word in words if word not in choices]:
        raise UsageError(f"{option} takes {', '.join(choices)}, not {unknown[0]!r}")
    return tuple(choices[word] for word in dict.fromkeys(words))
