"""What could be written at a place: the words that the parser accepts there, and the names that mean something."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...library import catalogue
from ...patterns_dsl.binding.learned import signature
from ...patterns_dsl.builtin.natives import NATIVES, SIGNATURES
from ...patterns_dsl.builtin.selectors import KINDS
from ...patterns_dsl.parsing.parse import following
from ..pattern import LIBRARY
from .declarations import Declaration, Sort
from .hover import about
from .place import Opening, Place, is_silent, place_at
from .symbols import Choice, Declared, Keyword, Names, Native, SelectorKind, Symbol
from .words import CLAIMS, FUNCTIONS, LENGTHS, PLAN_CLAIMS, WORDS

_SHAPES = {
    "{ (i, j) : ... }": ("{ (${1:i}, ${2:j}) : ${3:j <= i} }", "The pairs that a formula describes."),
    "{ j : ... }": ("{ ${1:j} : ${2:j mod 64 = 0} }", "The positions that a formula describes."),
}


@dataclass(frozen=True, slots=True)
class Item:
    """``insert`` is a snippet with its places to fill in, or None for the label itself. ``start``: the offset from
    which the text up to the cursor is replaced. Lower ``rank`` comes first."""

    label: str
    sort: str
    start: int
    rank: int
    detail: str = ""
    documentation: str = ""
    insert: str | None = None


def complete(names: Names, offset: int) -> tuple[Item, ...]:
    """The items at a cursor, not narrowed to the word before it: editors do that."""
    outline = names.outline
    text = outline.source.text
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    if path := re.search(r'from\s+"([^"]*)$', line):
        return tuple(_files(names, offset - len(path[1])))
    place = place_at(outline, offset)
    if is_silent(outline, offset) or (place.prefix < offset and text[place.prefix].isdigit()):
        return ()
    words, terminals = following(_written(text, place))
    found = [*_names(names, place, terminals), *(_keyword(word, place) for word in sorted(words))]
    return tuple({item.label: item for item in reversed(found)}.values())[::-1]


def _written(text: str, place: Place) -> str:
    """The statement so far, in a declaration that is sound: mistakes in other statements do not matter to this one."""
    block, section = place.block, place.section
    if block is None or section is None:
        return ""
    if section is block.sections[0]:
        return text[block.start : place.prefix]
    head = "plan p {" if block.kind == "PLAN" else "pattern p causal {"
    return f"{head} {text[section.start : place.prefix]}"


def _names(names: Names, place: Place, terminals: frozenset[str]) -> Iterator[Item]:
    if place.previous == "PROVE":
        planned = place.block is not None and place.block.kind == "PLAN"
        yield from _snippets(PLAN_CLAIMS if planned else CLAIMS, place, 0)
    if "NAME" not in terminals:
        return
    if place.previous == "DOT":
        yield from (_declared(one, place, 2) for one in names.within(place) if one.sort is Sort.AXIS)
    elif "INTEGER" not in terminals:
        yield from _bare(names, place)
    elif place.section is not None and place.section.kind == "LEARN":
        yield from _options(names, place)
    elif "LBRACE" in terminals:
        yield from _arguments(names, place)
        yield from _expressions(names, place)
    else:
        yield from _numbers(names, place)


def _bare(names: Names, place: Place) -> Iterator[Item]:
    """A name alone: of a selector, a pattern, an imported rule, a length, a level. Where a name is made, nothing."""
    section = place.section
    kind = "" if section is None else section.kind
    if kind == "LEARN" and place.previous == "EQUAL":
        for name in KINDS:
            insert = (
                f"{name}({_fields(option for option, wanted in KINDS[name].options.items() if not wanted.default)})"
            )
            yield _item(SelectorKind(name), name, place, 2, signature(name), insert)
    elif kind == "LEARN" and place.callee and place.openings[-1].bracket == "[":
        yield from _choices(place, place.callee)
    elif kind == "LAYERS" and place.previous == "COLON":
        yield from (_declared(one.declaration, place, 2, one, name) for name, one in names.patterns())
    elif kind == "FROM" and section is not None and place.previous in ("IMPORT", "COMMA"):
        path = section.lexemes[1].text.strip('"')
        yield from (_declared(one.declaration, place, 2, one) for one in names.exported(path))
    elif place.previous == "AT":
        yield from (_item(Keyword(name), name, place, 2, insert=f"{name} = ") for name in LENGTHS)


def _arguments(names: Names, place: Place) -> Iterator[Item]:
    """The arguments that the call around takes by name."""
    call, callee = place.callee, names.callee(place)
    if call is None or callee is None or place.openings[-1] is not call or place.previous not in ("LPAR", "COMMA"):
        return
    for one in callee.declaration.parameters[call.number - len(call.named) :]:
        if one.name not in call.named:
            yield _item(Declared(one), f"{one.name} =", place, 1, one.whole.text, f"{one.name} = ")


def _options(names: Names, place: Place) -> Iterator[Item]:
    """The options of a selector, or what one of them can be: words, or a number that a parameter stands for."""
    call = place.callee
    if call is None or call.callee not in KINDS:
        return
    if not call.argument:
        for option in KINDS[call.callee].options:
            if option not in call.named:
                yield _item(Choice(call.callee, option), option, place, 1, insert=f"{option} = ")
        return
    yield from _choices(place, call)
    if (wanted := KINDS[call.callee].options.get(call.argument)) and not wanted.words:
        yield from _local(names, place)


def _choices(place: Place, call: Opening) -> Iterator[Item]:
    """The words that an option takes."""
    wanted = KINDS[call.callee].options.get(call.argument) if call.callee in KINDS else None
    for word in wanted.words if wanted else ():
        yield _item(Choice(call.callee, call.argument, word), word, place, 0)
    if wanted and wanted.kind == "words" and place.openings[-1] is call:
        yield from _snippets({"[...]": (f"[${{1:{', '.join(wanted.words)}}}]", "Some of the words.")}, place, 0)


def _expressions(names: Names, place: Place) -> Iterator[Item]:
    """What a relation, a set or the value of an argument can be made of."""
    yield from _local(names, place)
    for own, one in names.rules():
        near = one.declaration.place.source is names.outline.source
        yield _declared(one.declaration, place, 3 if near else 4, one, own)
    for name in NATIVES:
        yield _item(Native(name), name, place, 4, SIGNATURES[name], f"{name}(${{1}})")
    yield from _snippets(_SHAPES, place, 5)


def _numbers(names: Names, place: Place) -> Iterator[Item]:
    """What a term can be made of."""
    yield from (Item(name, "variable", place.prefix, 1) for name, _ in place.variables)
    yield from _local(names, place)
    if place.section is not None and place.section.kind != "REQUIRE":
        cross = any(word.kind == "CROSS" for word in place.block.sections[0].lexemes) if place.block else False
        yield from (_item(Keyword(name), name, place, 3) for name in (("nq", "nk") if cross else ("n",)))
    for name in FUNCTIONS:
        yield _item(Keyword(name), name, place, 4, insert=f"{name}(${{1}})")


def _local(names: Names, place: Place) -> Iterator[Item]:
    """Parameters and selections, and the steps that can be named here: a step knows those before it."""
    section = place.section
    begun = section.start if section is not None and section.kind == "STEP" else len(names.outline.source.text)
    for one in names.within(place):
        if one.sort is not Sort.AXIS and not (one.sort is Sort.STEP and one.whole.start >= begun):
            yield _declared(one, place, 2)


def _files(names: Names, start: int) -> Iterator[Item]:
    for name in catalogue.names():
        yield Item(f"{LIBRARY}{name}", "file", start, 2, documentation=catalogue.summary(name))
    folder = names.outline.source.folder
    for file in sorted(folder.glob("*.pat")) if folder else ():
        if file != Path(names.outline.source.name):
            yield Item(file.name, "file", start, 1)


# --- items ---


def _declared(one: Declaration, place: Place, rank: int, symbol: Symbol | None = None, called: str = "") -> Item:
    """``called``: its name here, where an import gives it another."""
    label = called or one.name
    insert = f"{label}({_fields(part.name for part in one.parameters)})" if one.parameters else None
    insert = insert if one.sort is Sort.RULE else None  # the parameters of patterns have defaults
    return _item(symbol or Declared(one), label, place, rank, one.head, insert, one.sort)


def _item(
    symbol: Symbol, label: str, place: Place, rank: int, detail: str = "", insert: str | None = None, sort: str = ""
) -> Item:
    kind = sort or {Native: "rule", SelectorKind: "selector", Choice: "option", Declared: "parameter"}.get(
        type(symbol), "keyword"
    )
    return Item(label, kind, place.prefix, rank, detail, about(symbol), insert)


def _keyword(word: str, place: Place) -> Item:
    return Item(word, "keyword", place.prefix, 6, WORDS[word].form, WORDS[word].meaning)


def _snippets(known: dict[str, tuple[str, str]], place: Place, rank: int) -> Iterator[Item]:
    for label, (insert, meaning) in known.items():
        yield Item(label, "snippet", place.prefix, rank, documentation=meaning, insert=insert)


def _fields(names: Iterable[str]) -> str:
    return ", ".join(f"${{{number}:{name}}}" for number, name in enumerate(names, start=1))
