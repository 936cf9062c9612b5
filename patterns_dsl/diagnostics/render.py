"""Excerpts of source text with marks under the places that a diagnostic speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from unicodedata import combining, east_asian_width

from .source import Source, Span

Style: TypeAlias = Callable[[str, str], str]
"""(text, role) -> text in the colours of its role: a severity, ``^`` for carets, ``-`` for secondary marks."""


def plain(text: str, role: str) -> str:
    return text


WIDEST = 160
"""Characters of a line that are shown: of a longer one, those around its first mark."""

BEFORE = 60
"""Of them, those before the mark."""

LONGEST = 400
"""Characters of a message that are shown."""


def shortened(words: str) -> str:
    """A message that quotes much of a text, without the middle."""
    return words if len(words) <= LONGEST else f"{words[: LONGEST // 2]} ... {words[-LONGEST // 2 :]}"


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
        if not source.text:  # a file that was not read
            rows.append(f"{gutter}{arrow} {source.name}")
            continue
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
        here = sorted((mark for mark in marks if mark.span.line == number), key=lambda mark: mark.span.column)
        line = source.line(number)
        first = next((mark for mark in here if mark is marks[0]), here[0])
        left, shown = _window(line, first.span.column - 1)
        rows.append(f"{number:>{width}} | {''.join(map(_visible, shown))}")
        for mark in here:
            column = mark.span.column - 1
            end = max(column + 1, min(column + mark.span.end - mark.span.start, len(line)))
            start = min(max(column - left, 0), len(shown))
            # Tabs in the quoted line are kept in the padding, so that the sign stays under its character.
            padding = "".join("\t" if char == "\t" else " " * _columns(char) for char in shown[:start])
            length = max(1, sum(map(_columns, shown[start : end - left])))
            under = style(mark.sign * length + (f" {mark.words}" if mark.words else ""), mark.sign)
            rows.append(f"{' ' * width} | {padding}{under}")
    return rows


def _window(line: str, place: int) -> tuple[int, str]:
    """What is shown of a line, and how many characters of the line are left out before it."""
    if len(line) <= WIDEST:
        return 0, line
    start = min(max(0, place - BEFORE), len(line) - WIDEST)
    before, after = "..." if start else "", "..." if start + WIDEST < len(line) else ""
    return start - len(before), before + line[start : start + WIDEST] + after


def _visible(char: str) -> str:
    return char if char.isprintable() or char == "\t" else " "


def _columns(char: str) -> int:
    """The columns of a terminal that a character takes: two in scripts such as Chinese, none for an accent."""
    return 0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1
