"""patternc bench: a pattern's measured time beside its rivals', and beside what was predicted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ..compiler.report.console import When, failures, paint, progress
from .options import LONGEST, Color, HeadDim, Heads, One, Parameters, Plain, Quiet


class Device(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


class Dtype(StrEnum):
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


_NAMES = {Dtype.FP32: "float32", Dtype.BF16: "bfloat16", Dtype.FP16: "float16"}


def bench(
    file: One,
    length: Annotated[str, typer.Option("--length", "-n", help="Sequence lengths, as in 4096,16384.")] = "4096",
    against: Annotated[str, typer.Option("--against", help="Of dense, flex.")] = "dense",
    device: Annotated[Device, typer.Option("--device")] = Device.CPU,
    dtype: Annotated[Dtype, typer.Option("--dtype")] = Dtype.FP32,
    backward: Annotated[bool, typer.Option("--backward", help="Time forward and backward together too.")] = False,
    batch: Annotated[int, typer.Option("--batch", "-B", min=1)] = 1,
    heads: Heads = 4,
    head_dim: HeadDim = 64,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often everything takes its turn.")] = 7,
    parameter: Parameters = [],  # noqa: B006
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT,
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Time a pattern on this machine beside dense attention and FlexAttention, in turns, and beside its prediction."""
    from ..compiler.selection import select
    from ..runtime.bench import report
    from ..runtime.bench.side_by_side import Settings, side_by_side
    from ..runtime.errors import EngineError

    with failures(EngineError):
        settings = Settings(
            lengths=_lengths(length),
            against=tuple(name.strip() for name in against.split(",") if name.strip()),
            device=device.value,
            dtype=_NAMES[dtype],
            batch=batch,
            heads=heads,
            head_dim=head_dim,
            backward=backward,
            rounds=rounds,
        )
        pattern = select(file, parameter)
        with progress("measuring", quiet) as step:
            found = side_by_side(pattern, settings, step)
    print(report.text(found, paint(color)) if output_format is Plain.TEXT else report.as_json(found))


def _lengths(text: str) -> tuple[int, ...]:
    from ..compiler.selection import UsageError

    try:
        lengths = tuple(int(part) for part in text.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) < 1 or max(lengths) > LONGEST:
        raise UsageError(f"-n {text}: give positive lengths, {LONGEST:,} at most, as in -n 4096,16384")
    return lengths
