"""Docstrings: laid out anew without a change of what they say, which is their text as ``inspect.cleandoc`` reads it."""

from __future__ import annotations

from ..parsing.declare import plain
from .pieces import Unspellable

QUOTES = '"""'


def quoted(documentation: str, indent: int) -> str:
    """A documentation as a docstring whose every line but the first is indented. Raises Unspellable where no
    docstring says it: it contains quotes, or it is not as ``parse`` returns it."""
    margin = " " * indent
    first, *rest = documentation.split("\n")
    inner = "\n".join([first, *(row and margin + row for row in rest)])
    apart = "\n".join(["", *(row and margin + row for row in (first, *rest)), margin])
    for text in (inner, apart):
        candidate = QUOTES + text + QUOTES
        if candidate.index(QUOTES, 3) == len(candidate) - 3 and plain(candidate) == documentation:
            return candidate
    raise Unspellable(f"no docstring says {documentation!r}")


def indented(docstring: str, indent: int) -> list[str]:
    """The lines of a docstring, the first from where the indentation ends, the others with the indentation.

    What the others have in common is taken away first, so that what remains is theirs. The closing quotes are no text.
    """
    first, *rest = docstring[:-3].split("\n")
    rest = [row.expandtabs() for row in rest]
    margins = [len(row) - len(row.lstrip(" ")) for row in rest if row.strip()]
    margin = min(margins, default=max(map(len, rest), default=0))  # rows of spaces alone say nothing
    shifted = [" " * indent + row[margin:] if row[margin:] else "" for row in rest]
    if rest and not rest[-1].strip():
        shifted[-1] = " " * indent
    *lines, last = first, *shifted
    return [*lines, last + QUOTES]
