"""patternc library: the stock patterns."""

from __future__ import annotations

import json
import shutil
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
    from ..patterns_dsl.diagnostics.source import Source

app = typer.Typer(help="The stock patterns.", no_args_is_help=True)

HEAD = ("pattern", "kind", "direction", "keys of a query", "hops", "KV bound", "paper")
WIDTHS = (26, 10, 13, 18, 14, 15, 12)
"""Columns of the table, two apart: 120 in all. What is longer goes on in the next line."""

FULL = sum(WIDTHS) + 2 * (len(WIDTHS) - 1)

NOTES = """\
keys: the most that a query reads. hops: layers until every query has heard of all it may. KV bound: the most keys \
that are live at once while decoding. Without a length they hold for every n.
never: some pair is connected by no number of layers. -: does not apply. ?: the file claims nothing, since what is \
learned or the data decides, or the proof would take too long.
A pattern further in is another one of the file above: library:FILE::PATTERN. `patternc library show FILE` prints a \
file, `patternc explain` says what a pattern costs at a length."""


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
    # Into a file or another program the whole table goes, whatever its width.
    columns = shutil.get_terminal_size((FULL, 0)).columns
    for number, line in enumerate(table(found) if columns >= FULL else stanzas(found, max(columns, 60))):
        print(bold(line, "bold") if number == 0 else line)
    print()
    for note in NOTES.splitlines():
        print(textwrap.fill(note, min(columns, FULL)))


def as_json(entry: Entry) -> dict[str, str | None]:
    """What does not apply or is not claimed is null."""
    from ..library.entry import NONE, UNKNOWN

    fields = ("file", "name", "parameters", "kind", "direction", "keys", "hops", "cache", "paper", "summary")
    found = {field: str(getattr(entry, field)) for field in fields}
    return {field: None if value in (NONE, UNKNOWN) else value for field, value in found.items()}


# --- a table, where it fits ---


def table(entries: Sequence[Entry]) -> Iterator[str]:
    """The head, and each pattern in one line, or in more where a cell needs them."""
    yield from _row(HEAD)
    for entry in entries:
        costs = (entry.keys, entry.hops, entry.cache)
        yield from _row((_name(entry), entry.kind, entry.direction, *costs, entry.author if entry.first else ""))


def _name(entry: Entry) -> str:
    return entry.name if entry.first else f"  {entry.name}"


def _row(cells: Sequence[str]) -> Iterator[str]:
    """A name is never broken: one that is too long stands above the other cells."""
    name, *others = cells
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(others, WIDTHS[1:], strict=True)]
    fits = len(name) <= WIDTHS[0]
    if not fits:
        yield name
    for line in zip_longest([name if fits else ""], *wrapped, fillvalue=""):
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(line, WIDTHS, strict=True)).rstrip()


# --- two lines for each pattern, where the table does not fit ---


def stanzas(entries: Sequence[Entry], columns: int) -> Iterator[str]:
    """What a pattern is in its first line; in those below what it costs and reaches, but not what does not apply."""
    from ..library.entry import NONE

    yield _line("pattern", "kind", "direction", "paper")
    for entry in entries:
        yield _line(_name(entry), entry.kind, entry.direction, entry.author if entry.first else "")
        costs = (("keys", entry.keys), ("hops", entry.hops), ("KV bound", entry.cache))
        yield from _joined([f"{what} {value}" for what, value in costs if value != NONE], columns)


def _line(name: str, kind: str, direction: str, author: str) -> str:
    return f"{name:31} {kind:14} {direction:13} {author}".rstrip()


def _joined(parts: Sequence[str], columns: int) -> Iterator[str]:
    """Broken between the parts, rather than within one."""
    line = "      " + parts[0]
    for part in parts[1:]:
        if len(line) + len(", ") + len(part) + len(",") > columns:
            yield f"{line},"
            line = "      " + part
        else:
            line += f", {part}"
    yield line


@app.command("show")
def library_show(name: str) -> None:
    """Print the text of a stock pattern."""
    with failures():
        print(_stock(name).text, end="")


@app.command("copy")
def library_copy(name: str, path: Annotated[Path, typer.Argument()] = Path()) -> None:
    """Copy a stock pattern to a file or folder, to change it."""
    with failures():
        source = _stock(name)
        target = path / f"{_bare(name)}.pat" if path.is_dir() else path
        with target.open("x", encoding="utf-8") as file:
            file.write(source.text)
    say(f"wrote {target}")


def _stock(name: str) -> Source:
    from ..library import catalogue

    return catalogue.source(_bare(name))


def _bare(name: str) -> str:
    """Of a name as the other commands take it, ``library:NAME``, too."""
    from ..compiler.pattern import LIBRARY

    return name.removeprefix(LIBRARY)
