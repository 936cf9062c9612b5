"""The command line: thin commands, each a few calls into the compiler and the runtime.

Data goes to stdout, words for people to stderr. Exit codes: 0 all proved and done, 1 something refuted or an error in
a file, 2 usage. Each command imports what it needs when it runs: `patternc check` must stay fast and free of torch.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..compiler.report.console import refusal, say
from . import library
from .bench import bench
from .check import check
from .fmt import fmt
from .inspect import inspect
from .look import explain, show
from .lsp import lsp
from .run import compile, eval_
from .train import freeze, train
from .verify import verify

app = typer.Typer(
    name="patternc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"patternc {__version__}")
        raise typer.Exit


@app.callback()
def patternc(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """A compiler for sparse attention patterns."""


app.command()(check)
app.command()(show)
app.command()(explain)
app.command()(compile)
app.command()(bench)
app.command("eval")(eval_)
app.command()(train)
app.command()(freeze)
app.command()(fmt)
app.command()(inspect)
app.command()(lsp)
app.command()(verify)
app.add_typer(library.app, name="library")


def _in_a_line(message: Warning | str, *where: object, **more: object) -> None:
    """A warning as words for people, who did not write the line of code that it comes from."""
    say(f"warning: {message}")


def main() -> None:
    """Runs the command line. A stream that is closed takes what is written to it, as it does in other programs."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
        elif isinstance(stream, TextIOWrapper):  # quoted text may hold what a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _in_a_line
    try:
        app()
    except OSError as error:  # of commands that expect no failures but this
        if error.errno != errno.ENOSPC:
            raise
        say(f"error: {refusal(error)}")
        sys.exit(2)
