"""The command line: thin commands, each a few calls into the compiler and the runtime.

Data goes to stdout, words for people to stderr. Exit codes: 0 all proved and done, 1 something refuted or an error in
a file, 2 usage.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .compiler.report.console import When, failures, paint, progress, say

# Everything else is imported by the command that needs it: `patternc check` must stay fast and free of torch.

app = typer.Typer(
    name="patternc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
library = typer.Typer(help="The stock patterns.", no_args_is_help=True)
app.add_typer(library, name="library")


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class Plain(StrEnum):
    TEXT = "text"
    JSON = "json"


Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Paths, library:NAME, library: for all; ::NAME picks a pattern.")
]
One = Annotated[str, typer.Argument(metavar="FILE[::NAME]", help="A path or library:NAME; ::NAME picks a pattern.")]
Parameters = Annotated[list[str], typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="As in -p l=64.")]
Length = Annotated[int, typer.Option("-n", "--length", min=1, help="Sequence length.")]
HeadDim = Annotated[int, typer.Option("--head-dim", min=1, max=256, help="Width of a head.")]
Color = Annotated[When, typer.Option("--color", help="Colour the output; auto respects NO_COLOR.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what fails or is asked for.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"patternc {__version__}")
        raise typer.Exit


@app.callback()
def patternc(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """A compiler for sparse attention patterns."""


def _explain_code(code: str | None) -> None:
    if code is None:
        return
    from .compiler.report.pages import page

    with failures():
        print(page(code), end="")
    raise typer.Exit


@app.command()
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
    from .compiler.examine import examine
    from .compiler.report import formats, verdicts

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
    from .compiler.mend import mend, rewrite
    from .compiler.pattern import LIBRARY
    from .compiler.selection import UsageError, every, settings
    from .patterns_dsl.parsing.read import read

    for reference in every(files):
        if reference.file.startswith(LIBRARY):
            raise UsageError(f"{reference.file} is a stock file: `patternc library copy` gives you one to change")
        path = Path(reference.file)
        source = read(path)
        mended = mend(source, reference, settings(parameter))
        if mended.text != source.text:
            rewrite(path, mended.text)
        for edit in mended.fixes:
            say(f"fixed {reference.file}:{edit.span.line}: {edit.title}", quiet)


@app.command()
def show(
    file: One,
    length: Length = 64,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="x.svg, x.png or x.html instead.")] = None,
    parameter: Parameters = [],  # noqa: B006
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Draw the mask, in the terminal or as a picture."""
    from .compiler.relations.presburger import BudgetExceeded
    from .compiler.report.draw import draw, save
    from .compiler.selection import select

    with failures(BudgetExceeded):
        pattern = select(file, parameter)
        if output is None:
            print(draw(pattern, length, paint(color).color))
        else:
            save(pattern, length, output)
            say(f"wrote {output}", quiet)


@app.command()
def explain(
    file: One,
    length: Length = 4096,
    query: Annotated[int | None, typer.Option("--query", min=0, help="Also list the keys of this query.")] = None,
    head_dim: HeadDim = 64,
    parameter: Parameters = [],  # noqa: B006
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT,
    color: Color = When.AUTO,
) -> None:
    """Say what a pattern or plan is and costs: its kind, keys, cache, hops, and the orders it runs in."""
    from .compiler.explain import explain as account
    from .compiler.explain import explain_plan
    from .compiler.relations.presburger import BudgetExceeded
    from .compiler.report import explanation, plan_account
    from .compiler.selection import select, select_plan

    as_text = output_format is Plain.TEXT
    with failures(BudgetExceeded):
        plan = select_plan(file, parameter)
        if plan is not None:
            whole = explain_plan(plan, length)
            print(plan_account.text(whole, paint(color)) if as_text else plan_account.as_json(whole))
            return
        found = account(select(file, parameter), length, head_dim=head_dim, query=query)
    print(explanation.text(found, paint(color)) if as_text else explanation.as_json(found))


@app.command("compile")
def compile_(
    file: One,
    length: Length = 4096,
    head_dim: HeadDim = 64,
    dtype: Annotated[str, typer.Option("--dtype", help="bf16, fp16 or fp32.")] = "bf16",
    target: Annotated[str, typer.Option("--target", help="Of cpu, sm_80, sm_90, sm_100, gfx942.")] = "cpu",
    emit: Annotated[str, typer.Option("--emit", help="Of plan, triton, ttir, ptx, cubin, hsaco, report.")] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The artifact's folder.")] = Path("out"),
    parameter: Parameters = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Prove, lower and write an artifact: source, manifest, proofs, plan, kernels."""
    from .compiler.kernels.aot import BuildError
    from .compiler.selection import select
    from .runtime.build import RefutedError, Request, build
    from .runtime.errors import EngineError

    with failures(RefutedError, BuildError, EngineError):
        request = Request.parse(length=length, head_dim=head_dim, dtype=dtype, targets=target, emit=emit)
        pattern = select(file, parameter)
        with progress("compiling", quiet) as step:
            written = build(pattern, request, output, step)
    for path in written:
        print(str(path))


@app.command("eval")
def eval_(
    pattern: Annotated[str, typer.Option("--pattern", metavar="FILE[::NAME]")],
    text: Annotated[Path, typer.Option("--text", help="UTF-8 text to predict.")],
    model: Annotated[str, typer.Option("--model", help="A folder with a transformers model, or demo.")] = "demo",
    length: Annotated[int, typer.Option("-n", "--length", min=2, help="Tokens per window.")] = 4096,
    parameter: Parameters = [],  # noqa: B006
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT,
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Perplexity and seconds of a model under a pattern, beside its own dense attention."""
    from .compiler.selection import UsageError, select
    from .runtime.comparison import compare, load_model
    from .runtime.errors import AttachError
    from .runtime.models.demo_model import DemoError

    with failures(AttachError, DemoError):
        chosen = select(pattern, parameter)
        words = text.read_text(encoding="utf-8")
        with progress("evaluating", quiet) as step:
            step("loading the model")
            subject, tokenizer = load_model(model)
            ids = tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
            if len(ids) < 2:
                raise UsageError(f"{text} has {len(ids)} tokens: nothing can be predicted")
            found = compare(subject, ids, [chosen], window=length, say=step)
    print(found.as_json() if output_format is Plain.JSON else found.as_text(paint(color)))


@library.command("list")
def library_list() -> None:
    """Name every stock pattern, with what it is."""
    from .library import catalogue

    for name in catalogue.names():
        print(f"{name:20}  {catalogue.summary(name)}")


@library.command("show")
def library_show(name: str) -> None:
    """Print the text of a stock pattern."""
    from .library import catalogue

    with failures():
        print(catalogue.source(name).text, end="")


@library.command("copy")
def library_copy(name: str, path: Annotated[Path, typer.Argument()] = Path()) -> None:
    """Copy a stock pattern to a file or folder, to change it."""
    from .library import catalogue

    with failures():
        source = catalogue.source(name)
        target = path / f"{name}.pat" if path.is_dir() else path
        with target.open("x", encoding="utf-8") as file:
            file.write(source.text)
    say(f"wrote {target}")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
