"""What the words of a text stand for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ...library import catalogue
from ...patterns_dsl.binding.link import Finder
from ...patterns_dsl.binding.terms import LENGTHS
from ...patterns_dsl.builtin.natives import NATIVES
from ...patterns_dsl.builtin.selectors import KINDS
from ...patterns_dsl.diagnostics.source import Source, Span
from ...patterns_dsl.parsing.kinds import FUNCTIONS
from ...patterns_dsl.parsing.lexeme import Lexeme
from .declarations import Declaration, Sort, declarations, declared
from .files import built_in, imported, stock
from .outline import Outline, Section, end
from .place import Place, place_at, word_at


@dataclass(frozen=True, slots=True)
class Declared:
    """A name that a text declares: this one, one that it imports from, the prelude, a stock file. ``about`` is what its
    file says at the top, where a lone pattern says nothing itself."""

    declaration: Declaration
    about: str = ""


@dataclass(frozen=True, slots=True)
class Native:
    name: str


@dataclass(frozen=True, slots=True)
class SelectorKind:
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a selector, or (``word``) one of the words that it takes."""

    selector: str
    option: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    place: Span


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word of the language, a length, or a function on numbers."""

    word: str


@dataclass(frozen=True, slots=True)
class File:
    """The path of an import; ``source`` is None where it names no file."""

    path: str
    source: Source | None


Symbol: TypeAlias = Declared | Native | SelectorKind | Choice | Variable | Keyword | File


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a text can use, by the finder of its imports."""

    outline: Outline
    find: Finder

    @property
    def own(self) -> tuple[Declaration, ...]:
        return declarations(self.outline)

    def exported(self, path: str) -> Iterator[Declared]:
        """The rules and patterns of the file that an import names."""
        other = imported(self.outline.source, path, self.find)
        for one in declarations(other) if other else ():
            if one.sort in (Sort.RULE, Sort.PATTERN):
                yield Declared(one, _about(other))

    def original(self, name: Declaration) -> Declared:
        """What an imported name is in its own file; the name itself where it is nothing there."""
        found = (one for one in self.exported(name.type) if one.declaration.name == name.original)
        return next(found, Declared(name))

    def rules(self) -> Iterator[tuple[str, Declared]]:
        """The rules that can be called here, the nearest of each name first."""
        yield from ((one.name, Declared(one)) for one in self.own if one.sort is Sort.RULE)
        for one in self.own:
            if one.sort is Sort.IMPORT and (found := self.original(one)).declaration.sort is not Sort.PATTERN:
                yield one.name, found
        yield from ((one.name, Declared(one)) for one in declarations(built_in()))

    def patterns(self) -> Iterator[tuple[str, Declared]]:
        """The patterns that a plan can name here, the nearest of each name first."""
        about = _about(self.outline)
        yield from ((one.name, Declared(one, about)) for one in self.own if one.sort is Sort.PATTERN)
        for one in self.own:
            if one.sort is Sort.IMPORT and (found := self.original(one)).declaration.sort is not Sort.RULE:
                yield one.name, found
        for name in catalogue.names():
            file = stock(name)
            for pattern in declarations(file) if file else ():
                if pattern.name == name:
                    yield name, Declared(pattern, _about(file))

    def within(self, place: Place) -> Iterator[Declaration]:
        """The parameters, axes, selections and steps of the declaration around a place."""
        if place.block is not None and place.block.kind != "FROM":
            for one in declared(self.outline, place.block):
                yield from one.parts

    def called(self, name: str, place: Place, depth: int) -> Declared | None:
        """The rule of a name that stands in so many brackets, or the pattern that a line of a plan names."""
        planned = place.section is not None and place.section.kind == "LAYERS" and depth == 0
        known = self.patterns() if planned else self.rules()
        return next((found for own, found in known if own == name), None)

    def callee(self, place: Place) -> Declared | None:
        """What the call takes whose arguments are being written."""
        call = place.callee
        return None if call is None else self.called(call.callee, place, place.openings.index(call))


def symbol_at(names: Names, offset: int) -> tuple[Symbol, Span] | None:
    """What the word at an offset stands for, and where the word is."""
    word = word_at(names.outline, offset)
    if word is None or word.text[0] == "#" or word.kind == "DOC":
        return None
    span = Span(names.outline.source, word.start, end(word))
    if word.kind == "PATH":
        path = word.text.strip('"')
        other = imported(names.outline.source, path, names.find)
        return File(path, other.source if other else None), span
    if not (word.text.isidentifier() and word.text.isascii()):
        return None
    found = _symbol(names, word)
    return None if found is None else (found, span)


def _symbol(names: Names, word: Lexeme) -> Symbol | None:
    for one in names.own:
        for made in (one, *one.parts):
            if made.place.start == word.start:
                return names.original(made) if made.sort is Sort.IMPORT else Declared(made, _about(names.outline))
    place = place_at(names.outline, word.start + 1)
    block = names.outline.block(word.start)
    section = next((one for one in block.sections if word in one.lexemes), None) if block else None
    if block is None or section is None:
        return Keyword(word.text) if word.kind != "NAME" else None
    if block.kind == "FROM":
        return _in_import(names, word, block.sections[0])
    after = section.lexemes[section.lexemes.index(word) + 1 :]
    following = after[0].kind if after else ""
    if is_word(word, section, place, following):
        return Keyword(word.text)
    return _name(names, word.text, place, following)


def _in_import(names: Names, word: Lexeme, section: Section) -> Symbol | None:
    path = section.lexemes[1].text.strip('"')
    found = (one for one in names.exported(path) if one.declaration.name == word.text)
    return Keyword(word.text) if word.kind in ("FROM", "IMPORT", "AS") else next(found, None)


def is_word(word: Lexeme, section: Section, place: Place, following: str) -> bool:
    """Whether a word of the language that can be a name too is no name here."""
    match word.kind:
        case "NAME":
            return False
        case "CAUSAL" if section.kind != "PROVE":
            return section.kind == "PATTERN" and not place.openings
        case "CAUSAL" | "SYMMETRIC":
            ends = following not in ("AT_MOST", "EQUAL", "VBAR", "AMPERSAND", "MINUS", "__ANON_0", "LPAR")
            return place.previous == "PROVE" and ends
        case "DISJOINT" | "KEYS" | "CACHE" | "DENSITY":
            return place.previous == "PROVE" and following == ("LPAR" if word.kind == "DISJOINT" else "AT_MOST")
        case "INT" | "RATIO" | "SET" | "RELATION":
            return place.previous == "COLON"
        case "GRID":
            return section.kind == "PATTERN" and following == "LPAR" and not place.openings
        case "ALL" | "HEADS" | "LAYERS" | "LAYER" | "MERGED" | "INTERLEAVED":
            claim = section.kind == "PROVE" and word.kind in ("LAYERS", "LAYER")
            return not place.openings and (claim or (section.kind == "LAYERS" and place.previous != "COLON"))
        case "STEPS" | "ANY" | "ORDER" | "AT":
            return section.kind == "PROVE" and not place.openings
        case "FROM" | "IMPORT" | "AS":
            return False
        case _:
            return True


def _name(names: Names, name: str, place: Place, following: str) -> Symbol | None:
    call = place.callee
    learns = place.section is not None and place.section.kind == "LEARN"
    if place.previous == "DOT":
        return next((Declared(one) for one in names.within(place) if one.sort is Sort.AXIS and one.name == name), None)
    if learns and (found := _of_selector(name, place)) is not None:
        return found
    if following == "EQUAL" and call and not call.argument and place.previous in ("LPAR", "COMMA"):
        callee = names.callee(place)
        own = callee.declaration.parameters if callee else ()
        return next((Declared(one) for one in own if one.name == name), None)
    if place.section is not None and place.section.kind == "LAYERS" and place.previous == "COLON":
        return names.called(name, place, 0)
    if place.previous == "AT" or (name in LENGTHS and not any(one == name for one, _ in place.variables)):
        return Keyword(name) if name in LENGTHS else None
    for variable, binder in reversed(place.variables):
        if variable == name:
            return Variable(name, Span(names.outline.source, binder.start, end(binder)))
    for one in names.within(place):
        if one.name == name and one.sort is not Sort.AXIS:
            return Declared(one)
    if (rule := names.called(name, place, len(place.openings))) is not None:
        return rule
    if name in NATIVES:
        return Native(name)
    return Keyword(name) if name in FUNCTIONS and following == "LPAR" else None


def _of_selector(name: str, place: Place) -> Symbol | None:
    call = place.callee
    if call is None or call.callee not in KINDS:
        return SelectorKind(name) if name in KINDS and place.previous == "EQUAL" else None
    options = KINDS[call.callee].options
    if not call.argument:
        return Choice(call.callee, name) if name in options else None
    wanted = options.get(call.argument)
    return Choice(call.callee, call.argument, name) if wanted and name in wanted.words else None


def _about(outline: Outline | None) -> str:
    return "" if outline is None or outline.documentation is None else outline.documentation.text
