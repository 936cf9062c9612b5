"""What several commands take."""

from __future__ import annotations

from enum import StrEnum
from os import environ
from pathlib import Path
from typing import Annotated

import typer

from ..compiler.report.console import When, say


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
LONGEST = 1 << 24
"""Tokens. What is counted key by key, or planned tile by tile, takes minutes and gigabytes beyond."""

Length = Annotated[int, typer.Option("-n", "--length", min=1, max=LONGEST, help="Sequence length.")]
HeadDim = Annotated[int, typer.Option("--head-dim", min=1, max=256, help="Width of a head.")]
Heads = Annotated[int, typer.Option("--heads", "-H", min=1, help="Heads of a call, for its time.")]
Color = Annotated[When, typer.Option("--color", help="Colour the output; auto respects NO_COLOR.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what fails or is asked for.")]


def need(command: str, *packages: str) -> None:
    """Before anything imports them: that packages of the extra ``demo`` are there. Exits with 2 where one is not."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            say(f"error: {command} needs {package}: pip install 'patternc[demo]'")
            raise typer.Exit(2)
    environ.setdefault("TQDM_DISABLE", "1")  # their bars would run through our lines, and where nothing is to be said


def words_of(path: Path) -> str:
    """The text that a model is to read. Raises UsageError for one that is not UTF-8, OSError."""
    from ..compiler.selection import UsageError

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UsageError(f"{path}: byte {byte:#04x} at {error.start:,} is not UTF-8; save the text as UTF-8") from None
