"""patternc check: prove every claim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..compiler.report.console import When, failures, paint, say
from .options import Color, Files, Format, Parameters, Quiet


def _explain_code(code: str | None) -> None:
    if code is None:
        return
    from ..compiler.report.pages import page

    with failures():
        print(page(code), end="")
    raise typer.Exit


def check(
    files: Files,
    parameter: Parameters = [],  # noqa: B006 - typer reads the default and never changes it
    output_format: Annotated[Format, typer.Option("--output-format")] = Format.TEXT,
    fix: Annotated[bool, typer.Option("--fix", help="First apply the fixes that the diagnostics offer.")] = False,
    color: Color = When.AUTO,
    quiet: Quiet = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="CODE", callback=_explain_code, is_eager=True, help="Explain a code."),
    ] = None,
) -> None:
    """Prove every claim, for every sequence length."""
    from ..compiler.examine import examine
    from ..compiler.report import formats, verdicts

    style, reports = paint(color), []
    with failures():
        if fix:
            _mend(files, parameter, quiet)
        for report in examine(files, parameter):
            reports.append(report)
            if output_format is Format.TEXT and (block := verdicts.text(report, style, quiet)):
                print(block)
    if output_format is not Format.TEXT:
        print(formats.render(str(output_format), reports, __version__))
    elif not quiet:
        say(verdicts.summary(reports, style))
    raise typer.Exit(0 if all(report.passed for report in reports) else 1)


def _mend(files: list[str], parameter: list[str], quiet: bool) -> None:
    from ..compiler.mend import mend, rewrite
    from ..compiler.pattern import LIBRARY
    from ..compiler.selection import UsageError, every, settings
    from ..patterns_dsl.diagnostics.diagnostic import PatternError
    from ..patterns_dsl.parsing.read import read

    references = every(files)
    for reference in references:
        if reference.file.startswith(LIBRARY):
            raise UsageError(f"{reference.file} is a stock file: `patternc library copy` gives you one to change")
    for reference in references:
        path = Path(reference.file)
        try:
            source = read(path)
        except PatternError:
            continue  # it is no text; the check will say so
        mended = mend(source, reference, settings(parameter))
        if mended.text != source.text:
            rewrite(path, mended.text)
        for edit in mended.fixes:
            say(f"fixed {reference.file}:{edit.span.line}: {edit.title}", quiet)
