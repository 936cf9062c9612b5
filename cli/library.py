"""patternc library: the stock patterns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.report.console import When, failures, paint, say
from .options import Color, Plain

if TYPE_CHECKING:
    from ..library.entry import Entry

app = typer.Typer(help="The stock patterns.", no_args_is_help=True)

HEAD = ("pattern", "kind", "direction", "keys of a query", "hops", "KV bound", "paper")
WIDTHS = (22, 14, 13, 16, 13, 14, 16)
"""Columns of the table, two apart: 120 in all. What is longer goes on in the next line."""


@app.command("list")
def library_list(
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT, color: Color = When.AUTO
) -> None:
    """Name every stock pattern, with what it is, costs and reaches by its own claims."""
    from ..library.entry import entries

    found = entries()
    if output_format is Plain.JSON:
        print(json.dumps({"version": 1, "patterns": [as_json(entry) for entry in found]}, indent=2))
        return
    bold = paint(color)
    for number, line in enumerate(table(found)):
        print(bold(line, "bold") if number == 0 else line)


def as_json(entry: Entry) -> dict[str, str]:
    fields = ("name", "parameters", "kind", "direction", "keys", "hops", "cache", "paper", "summary")
    return {field: str(getattr(entry, field)) for field in fields}


def table(entries: Sequence[Entry]) -> Iterator[str]:
    """The head, and each pattern in one line, or in more where a cell needs them."""
    yield from _row(HEAD)
    for entry in entries:
        yield from _row((entry.name, entry.kind, entry.direction, entry.keys, entry.hops, entry.cache, entry.author))


def _row(cells: Sequence[str]) -> Iterator[str]:
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)]
    for line in zip_longest(*wrapped, fillvalue=""):
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(line, WIDTHS, strict=True)).rstrip()


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
