"""patternc verify: every engine and every verdict against brute force, on random examples."""

from __future__ import annotations

from typing import Annotated

import typer

from ..compiler.report.console import When, failures, paint, progress, say
from .options import Color, Files, Parameters, Plain, Quiet


def verify(
    files: Files,
    examples: Annotated[int, typer.Option("--examples", min=1, help="Examples of each property.")] = 50,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed tries the same examples.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="At most this long for each property.")] = 60,
    parameter: Parameters = [],  # noqa: B006
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT,
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Try patterns at random lengths, parameters, shapes and data, forward and backward, against brute force."""
    from ..compiler.selection import UsageError, every, settings

    style, reports = paint(color), []
    with failures():
        try:
            from ..testing.verify.report import as_json, summary, text
            from ..testing.verify.run import Search, verify
        except ImportError as error:
            raise UsageError(f"verify needs {error.name}: pip install 'patternc[testing]'") from None
        given = settings(parameter)
        with progress("verifying", quiet) as step:
            for reference in every(files):
                report = verify(reference, given, Search(examples, seed, seconds, say=step))
                reports.append(report)
                if output_format is Plain.TEXT and (block := text(report, style, seed=seed, quiet=quiet)):
                    print(block)
    if output_format is Plain.JSON:
        print(as_json(reports, seed=seed, examples=examples))
    elif not quiet:
        say(summary(reports))
    raise typer.Exit(0 if all(report.passed for report in reports) else 1)
