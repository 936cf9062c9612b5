"""The command line: thin commands, each a few calls into the compiler and the runtime.

Data goes to stdout, words for people to stderr. Exit codes: 0 all proved and done, 1 something refuted or an error in
a file, 2 usage. Each command imports what it needs when it runs: `patternc check` must stay fast and free of torch.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from .. import __version__
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


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # quoted text may hold what a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    app()
