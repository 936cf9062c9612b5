"""patternc compile and patternc eval: kernels, and a model that runs a pattern."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.report.console import When, failures, paint, progress, say
from .options import Color, HeadDim, Length, One, Parameters, Plain, Quiet, need, words_of

if TYPE_CHECKING:
    from ..compiler.pattern import Pattern


def compile(
    file: One,
    length: Length = 4096,
    head_dim: HeadDim = 64,
    dtype: Annotated[str, typer.Option("--dtype", help="bf16, fp16 or fp32.")] = "bf16",
    target: Annotated[str, typer.Option("--target", help="Of cpu, sm_80, sm_90, sm_100, gfx942.")] = "cpu",
    emit: Annotated[
        str, typer.Option("--emit", help="Of plan, triton, ttir, ttgir, llir, ptx, cubin, amdgcn, hsaco, report.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The artifact's folder.")] = Path("out"),
    gradients: Annotated[
        bool, typer.Option("--check-gradients", help="First try every engine against float64.")
    ] = False,
    parameter: Parameters = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Prove, lower and write an artifact: source, manifest, proofs, plan, kernels."""
    from ..compiler.kernels.aot import BuildError
    from ..compiler.output import check_folder
    from ..compiler.selection import select
    from ..runtime.artifact import ArtifactError
    from ..runtime.build import RefutedError, Request, build
    from ..runtime.errors import EngineError

    with failures(ArtifactError, RefutedError, BuildError, EngineError):
        request = Request.parse(length=length, head_dim=head_dim, dtype=dtype, targets=target, emit=emit)
        pattern = select(file, parameter)
        check_folder(output)
        with progress("compiling", quiet) as step:
            if gradients:
                _check_gradients(pattern, step, quiet=quiet)
            written = build(pattern, request, output, step)
    for path in written:
        print(str(path))


def _check_gradients(pattern: Pattern, step: Callable[[str], None], *, quiet: bool) -> None:
    """Outputs and gradients of every engine, on random shapes. Exits with 1, and nothing is built, where one is off."""
    from ..compiler.selection import UsageError

    try:
        from ..testing.verify.report import subject_text
        from ..testing.verify.run import Search, check_gradients
    except ImportError as error:
        raise UsageError(f"--check-gradients needs {error.name}: pip install 'patternc[testing]'") from None
    report = check_gradients(pattern, Search(examples=50, seed=0, seconds=60, say=step))
    for block in subject_text(report, paint(When.AUTO), seed=0, quiet=quiet):
        say(block)
    if not report.passed:
        raise typer.Exit(1)


def eval_(
    pattern: Annotated[str, typer.Option("--pattern", metavar="FILE[::NAME]|DIR", help="Or a saved attachment.")],
    text: Annotated[Path, typer.Option("--text", help="UTF-8 text to predict.")],
    model: Annotated[str, typer.Option("--model", help="A folder with a transformers model, or demo.")] = "demo",
    length: Annotated[int, typer.Option("-n", "--length", min=2, help="Tokens per window.")] = 4096,
    parameter: Parameters = [],  # noqa: B006
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT,
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Perplexity and seconds of a model under a pattern or plan, beside its own dense attention.

    What a pattern learns is at its random start, the same each time; a saved attachment has what it learned.
    """
    need("eval", "safetensors", "transformers")
    from ..compiler.selection import UsageError
    from ..runtime.comparison import check_length, compare, load_model
    from ..runtime.errors import AttachError
    from ..runtime.models.demo_model import DemoError
    from ..runtime.models.subjects import check_subject, find_subject

    with failures(AttachError, DemoError):
        chosen = find_subject(pattern, parameter)
        check_subject(chosen)
        words = words_of(text)
        with progress("evaluating", quiet) as step:
            step("loading the model")
            subject, tokenizer = load_model(model)
            ids = tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
            if len(ids) < 2:
                raise UsageError(f"{text} has {len(ids)} tokens: nothing can be predicted")
            check_length(subject, min(length, len(ids)))
            found = compare(subject, ids, [chosen], window=length, say=step)
    print(found.as_json() if output_format is Plain.JSON else found.as_text(paint(color)))
