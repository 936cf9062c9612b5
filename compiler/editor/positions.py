"""Places in a text as editors count them: lines from 0, and columns in UTF-16 code units from 0."""

from __future__ import annotations

from dataclasses import dataclass

from ...patterns_dsl.diagnostics.source import Source, Span


@dataclass(frozen=True, slots=True, order=True)
class Position:
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Range:
    """Half-open: ``end`` is the first place after it."""

    start: Position
    end: Position

    def touches(self, other: Range) -> bool:
        """Whether they have a place in common, their ends included."""
        return self.start <= other.end and other.start <= self.end


def plain(text: str) -> str:
    """The text with line ends ``\\n`` and a space for a byte order mark: no line and no column changes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return " " + text[1:] if text.startswith("\ufeff") else text


def position(source: Source, offset: int) -> Position:
    """The place of a character offset, which is brought into the text where it lies outside."""
    line, column = source.position(max(0, min(offset, len(source.text))))
    return Position(line - 1, _units(source.line(line)[: column - 1]))


def offset(source: Source, place: Position) -> int:
    """The character offset of a place; of one beyond its line, the end of the line, and inside a character of two
    units, the start of the character."""
    start = source.offset(place.line + 1, 1)
    if source.position(start)[0] != place.line + 1:
        return len(source.text)
    row = source.line(place.line + 1)
    if row.isascii():
        return start + min(max(0, place.column), len(row))
    units = 0
    for count, char in enumerate(row):
        units += _units(char)
        if units > place.column:
            return start + count
    return start + len(row)


def range_of(span: Span) -> Range:
    return Range(position(span.source, span.start), position(span.source, span.end))


def whole(source: Source) -> Range:
    return Range(Position(0, 0), position(source, len(source.text)))


def _units(text: str) -> int:
    """Characters outside the basic plane take two units."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)
