"""patternc library: the stock patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..compiler.report.console import failures, say

app = typer.Typer(help="The stock patterns.", no_args_is_help=True)


@app.command("list")
def library_list() -> None:
    """Name every stock pattern, with what it is."""
    from ..library import catalogue

    for name in catalogue.names():
        print(f"{name:20}  {catalogue.summary(name)}")


@app.command("show")
def library_show(name: str) -> None:
    """Print the text of a stock pattern."""
    from ..library import catalogue

    with failures():
        print(catalogue.source(name).text, end="")


@app.command("copy")
def library_copy(name: str, path: Annotated[Path, typer.Argument()] = Path()) -> None:
    """Copy a stock pattern to a file or folder, to change it."""
    from ..library import catalogue

    with failures():
        source = catalogue.source(name)
        target = path / f"{name}.pat" if path.is_dir() else path
        with target.open("x", encoding="utf-8") as file:
            file.write(source.text)
    say(f"wrote {target}")
