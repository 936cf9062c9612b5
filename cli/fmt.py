"""patternc fmt: lay pattern files out in the style of the language."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.report.console import failures, say
from .options import Quiet

if TYPE_CHECKING:
    from ..patterns_dsl.diagnostics.source import Source

STDIN = "-"


def fmt(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths, folders of .pat files, - for stdin.")],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; name the files that would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
    quiet: Quiet = False,
) -> None:
    """Lay pattern files out in the style of the language. Comments stay, and so does the meaning."""
    with failures():
        texts, refused = _formatted(_named(files))  # all of them before the first is written
        changed = [(name, source, text) for name, source, text in texts if text != source.text]
        for name, source, text in changed:
            if diff:
                print("\n".join(_difference(name, source.text, text)))
            elif check:
                print(name)
            elif name != STDIN:
                _write(name, text)
                say(f"formatted {name}", quiet)
        if not (check or diff):
            print("".join(text for name, _, text in texts if name == STDIN), end="")
    if check and changed:
        say(f"{len(changed)} of {len(texts)} would change: run `patternc fmt` on them", quiet)
    raise typer.Exit(1 if refused or (check and changed) else 0)


def _formatted(names: Iterable[str]) -> tuple[list[tuple[str, Source, str]], int]:
    """(name, source, text as it should be) of the files that can be parsed, and how many cannot: those are reported."""
    from ..patterns_dsl.diagnostics.diagnostic import PatternError
    from ..patterns_dsl.formatting.format import formatted

    texts: list[tuple[str, Source, str]] = []
    refused = 0
    for name in names:
        try:
            source = _read(name)
            texts.append((name, source, formatted(source)))
        except PatternError as error:
            refused += 1
            say(str(error))
    return texts, refused


def _named(files: list[str]) -> dict[str, None]:
    """The files that are meant, in order, each once. Raises UsageError for what cannot be formatted."""
    from ..compiler.pattern import LIBRARY
    from ..compiler.selection import Reference, UsageError

    found = dict[str, None]()
    for text in files:
        reference = Reference.parse(text)
        if text.startswith(LIBRARY):
            raise UsageError(f"{text} is a stock file: `patternc library copy` gives you one to change")
        if reference.name is not None:
            raise UsageError(f"{text} is a part of a file, and files are formatted whole: leave ::{reference.name} out")
        found |= dict.fromkeys(_inside(Path(text)) if Path(text).is_dir() else [text])
    return found


def _inside(folder: Path) -> list[str]:
    from ..compiler.selection import UsageError

    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.pat"))
    found = [str(folder / path) for path in paths if not any(part.startswith(".") for part in path.parts)]
    if not found:
        raise UsageError(f"{folder} holds no .pat file")
    return found


def _read(name: str) -> Source:
    from ..patterns_dsl.parsing.read import decode, read

    return decode(sys.stdin.buffer.read(), "<stdin>") if name == STDIN else read(Path(name))


def _write(name: str, text: str) -> None:
    from ..compiler.mend import rewrite

    rewrite(Path(name).resolve(), text)  # a link to a file stays one


def _difference(name: str, before: str, after: str) -> Iterator[str]:
    from difflib import unified_diff

    return unified_diff(_lines(before), _lines(after), name, name, lineterm="")


def _lines(text: str) -> list[str]:
    """The lines as diff and patch count them: `splitlines` would also split at odd characters of a comment."""
    *lines, last = text.split("\n")
    return [*lines, f"{last}\n\\ No newline at end of file"] if last else lines
