"""patternc train and patternc freeze: what a pattern learns, and what of it is a pattern again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.report.console import failures, progress, say
from .options import Parameters, Quiet, need, words_of

if TYPE_CHECKING:
    from ..runtime.training.report import StepRecord


def train(
    pattern: Annotated[str, typer.Option("--pattern", metavar="FILE[::NAME]", help="A pattern with learned terms.")],
    text: Annotated[Path, typer.Option("--text", help="UTF-8 text; its last tenth is held out.")],
    model: Annotated[str, typer.Option("--model", help="A folder with a transformers model, or demo.")] = "demo",
    length: Annotated[int, typer.Option("-n", "--length", min=2, help="Tokens per window.")] = 1024,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of training, one window each.")] = 100,
    mode: Annotated[str, typer.Option("--mode", help="distill, joint or end_to_end.")] = "distill",
    density: Annotated[
        str | None, typer.Option("--density", help="Share of all pairs that may be read, as 25%.")
    ] = None,
    two_sided: Annotated[
        bool, typer.Option("--two-sided", help="Hold the density from below too: for end_to_end, mostly.")
    ] = False,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of what is learned.")] = 1e-3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for what was learned.")] = Path("out/trained"),
    parameter: Parameters = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Train what a pattern learns inside a model, save it, and report it beside its controls."""
    need("train", "safetensors", "transformers")
    from ..compiler.selection import select
    from ..runtime.comparison import check_length, load_model
    from ..runtime.errors import ArgumentError, AttachError
    from ..runtime.models.demo_model import DemoError
    from ..runtime.models.subjects import check_decides, check_learns
    from ..runtime.training.on_text import REPORT, check_place, train_on_text
    from ..runtime.training.recipe import Recipe

    with failures(AttachError, DemoError, ArgumentError):
        chosen = select(pattern, parameter)
        recipe = Recipe(steps=steps, mode=mode, density=_ratio(density), two_sided=two_sided, seed=seed, rate=rate)
        check_learns(chosen, "there is nothing to train; `patternc eval` runs it as it is")
        check_decides(chosen)
        check_place(output, resume=resume)
        words = words_of(text)
        say("loading the model", quiet)
        subject, tokenizer = load_model(model)
        check_length(subject, length)
        with _bar(steps, quiet) as (on_step, step):
            report = train_on_text(
                subject,
                tokenizer,
                chosen,
                words,
                recipe,
                output,
                length=length,
                resume=resume,
                on_step=on_step,
                say=step,
            )
    say(report.as_text(), quiet)
    print(output / REPORT)


def freeze(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What `patternc train` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .pat file.")],
    threshold: Annotated[float, typer.Option("--threshold", help="Gates from here on are open.")] = 0.5,
    quiet: Quiet = False,
) -> None:
    """Write learned gates back as a plain plan that proves and compiles like any other."""
    need("freeze", "safetensors")
    from ..compiler.freeze import NotFrozen
    from ..compiler.output import check_file
    from ..runtime.errors import ArgumentError, SavedError
    from ..runtime.training.freeze import freeze_saved

    with failures(NotFrozen, SavedError, ArgumentError):
        check_file(output)
        found = freeze_saved(directory, threshold=threshold)
        output.write_text(found.text, encoding="utf-8")
    if found.rounded:
        far = max(found.rounded, key=lambda gate: gate.distance)
        say(
            f"rounded {len(found.rounded)} gates, the farthest from {far.value:.3f} to {int(far.is_open)}: layer"
            f" {far.layer}, head {far.head}, `{far.gate}`. The plan computes something else by about as much,"
            " and by more where no open gate lets a query read, or gated terms share pairs.",
            quiet,
        )
    print(output)


def _ratio(text: str | None) -> float | None:
    from ..compiler.selection import UsageError

    if text is None:
        return None
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise UsageError(f"--density takes a share, as in 25% or 0.25, not {text!r}") from None


@contextmanager
def _bar(steps: int, quiet: bool) -> Iterator[tuple[Callable[[StepRecord], None], Callable[[str], None]]]:
    """A bar on stderr; where stderr is not a terminal, a line now and then."""
    import sys

    if quiet or not sys.stderr.isatty():
        every = max(1, steps // 20)
        with progress("comparing", quiet) as step:
            yield lambda record: say(_line(record, steps), quiet or (record.step + 1) % every != 0), step
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=steps)
        yield (
            lambda record: bar.update(task, completed=record.step + 1, description=f"loss {record.total:.4f}"),
            lambda step: bar.update(task, description=step),
        )


def _line(record: StepRecord, steps: int) -> str:
    return f"step {record.step + 1} of {steps}: loss {record.total:.4f}"
