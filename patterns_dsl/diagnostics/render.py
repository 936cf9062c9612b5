"""Excerpts of source text with marks under the places that a diagnostic speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .source import Source, Span

Style: TypeAlias = Callable[[str, str], str]
"""(text, role) -> text in the colours of its role: a severity, ``^`` for carets, ``-`` for secondary marks."""


def plain(text: str, role: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Mark:
    """A place, the sign that underlines it, and words beside the sign."""

    span: Span
    sign: str
    words: str


def excerpt(marks: Sequence[Mark], style: Style) -> tuple[list[str], str]:
    """The marked lines, file by file, the first mark's file first; and the gutter that notes are aligned to."""
    sources = list(dict.fromkeys(id(mark.span.source) for mark in marks))
    width = len(str(max(mark.span.line for mark in marks)))
    gutter = " " * width
    rows: list[str] = []
    for place, identity in enumerate(sources):
        own = [mark for mark in marks if id(mark.span.source) == identity]
        source, first = own[0].span.source, own[0].span
        arrow = "-->" if place == 0 else ":::"
        rows += [f"{gutter}{arrow} {source.name}:{first.line}:{first.column}", f"{gutter} |"]
        rows += _lines(source, own, width, style)
    return rows, gutter


def _lines(source: Source, marks: Sequence[Mark], width: int, style: Style) -> list[str]:
    rows: list[str] = []
    before: int | None = None
    for number in sorted({mark.span.line for mark in marks}):
        if before is not None and number > before + 1:
            rows.append("...")
        before = number
        quoted = source.line(number)
        shown = "".join(char if char.isprintable() or char == "\t" else " " for char in quoted)
        rows.append(f"{number:>{width}} | {shown}")
        for mark in sorted((m for m in marks if m.span.line == number), key=lambda m: m.span.column):
            column = mark.span.column
            length = max(1, min(mark.span.end - mark.span.start, len(quoted) - column + 1))
            # Tabs in the quoted line are kept in the padding, so that the sign stays under its character.
            padding = "".join("\t" if char == "\t" else " " for char in quoted[: column - 1])
            under = style(mark.sign * length + (f" {mark.words}" if mark.words else ""), mark.sign)
            rows.append(f"{' ' * width} | {padding}{under}")
    return rows
