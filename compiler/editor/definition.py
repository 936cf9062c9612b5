"""Where what a word stands for is defined, and what a text defines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...patterns_dsl.diagnostics.source import Source, Span
from .declarations import Declaration, Sort, declarations
from .files import home
from .outline import Outline
from .positions import Range, range_of
from .symbols import Declared, File, Names, Variable, symbol_at


@dataclass(frozen=True, slots=True)
class Target:
    """``file`` is None for the text itself."""

    file: Path | None
    range: Range


@dataclass(frozen=True, slots=True)
class Entry:
    """A declaration with those inside it: ``whole`` is all of it, ``place`` its name."""

    name: str
    sort: Sort
    detail: str
    whole: Range
    place: Range
    parts: tuple[Entry, ...]


def definition(names: Names, offset: int) -> Target | None:
    """The definition of the word at an offset; None where it has none: words of the language, native relations."""
    found = symbol_at(names, offset)
    match found:
        case (Declared(declaration), _):
            return _target(declaration.place, names.outline.source)
        case (Variable(_, place), _):
            return _target(place, names.outline.source)
        case (File(_, Source() as source), _):
            return _target(Span(source, 0, 0), names.outline.source)
        case _:
            return None


def _target(span: Span, here: Source) -> Target | None:
    if span.source == here:
        return Target(None, range_of(span))
    file = home(span.source)
    return None if file is None else Target(file, range_of(span))


def entries(outline: Outline) -> tuple[Entry, ...]:
    """The declarations of a text, as an editor's list of symbols."""
    return tuple(_entry(one) for one in declarations(outline) if one.sort is not Sort.IMPORT)


def _entry(one: Declaration) -> Entry:
    parts = tuple(_entry(part) for part in one.parts if part.sort in (Sort.PARAMETER, Sort.SELECTION, Sort.STEP))
    return Entry(one.name, one.sort, one.type, range_of(one.whole), range_of(one.place), parts)
