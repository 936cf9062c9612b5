"""What a text declares: its imports, rules, patterns and plans, with their parameters, steps and selections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ...patterns_dsl.diagnostics.source import Source, Span
from ...patterns_dsl.parsing.declare import plain
from ...patterns_dsl.parsing.lexeme import Lexeme
from .outline import Block, Outline, Section, end


class Sort(StrEnum):
    """What kind of name a declaration makes."""

    IMPORT = "import"
    RULE = "rule"
    PATTERN = "pattern"
    PLAN = "plan"
    PARAMETER = "parameter"
    AXIS = "axis"
    SELECTION = "selection"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Declaration:
    """``place`` is its name, ``whole`` all of it. ``type`` is that of a parameter, the direction of a pattern, the
    selector of a selection, the path of an imported name; ``original`` what the other file calls that."""

    sort: Sort
    name: str
    place: Span
    whole: Span
    type: str = ""
    original: str = ""
    documentation: str = ""
    parts: tuple[Declaration, ...] = ()

    @property
    def parameters(self) -> tuple[Declaration, ...]:
        return tuple(part for part in self.parts if part.sort is Sort.PARAMETER)

    @property
    def head(self) -> str:
        """What stands before its body, on one line: ``rule local(w: int)``."""
        last = max((part.whole.end for part in self.parameters), default=self.place.end)
        text = Span(self.whole.source, self.whole.start, last).text
        closing = ")" if self.parameters else ""
        return " ".join([*f"{text}{closing}".split(), *([self.type] if self.sort is Sort.PATTERN else [])]).strip()


def declarations(outline: Outline) -> tuple[Declaration, ...]:
    """All of a text, in order."""
    return tuple(found for block in outline.blocks for found in declared(outline, block))


def declared(outline: Outline, block: Block) -> tuple[Declaration, ...]:
    """What one block declares: nothing where its name is not yet written, several names for an import."""
    head = block.sections[0].lexemes
    if block.kind == "FROM":
        return tuple(_imported(outline.source, head))
    if len(head) < 2 or not head[1].text.isidentifier():
        return ()
    source = outline.source
    made = Declaration(
        Sort(block.kind.lower()),
        head[1].text,
        _span(source, head[1:2]),
        block.span(source),
        next((word.text for word in head if word.kind in ("CAUSAL", "BIDIRECTIONAL", "CROSS")), ""),
        documentation=_documentation(block),
        parts=(
            *_listed(source, head, Sort.PARAMETER),
            *_listed(source, head, Sort.AXIS),
            *(part for section in block.sections[1:] for part in _named(source, section)),
        ),
    )
    return (made,)


def _documentation(block: Block) -> str:
    body = block.sections[1].lexemes[0] if len(block.sections) > 1 and block.sections[1].kind == "DOC" else None
    found = block.documentation or body
    return plain(found.text) if found else ""


def _imported(source: Source, words: Sequence[Lexeme]) -> Iterator[Declaration]:
    if len(words) < 2:  # `from`, and nothing yet
        return
    path = words[1].text.strip('"')
    start = next((place + 1 for place, word in enumerate(words) if word.kind == "IMPORT"), len(words))
    for part in _parted(words[start:]):
        aliased = len(part) == 3 and part[1].kind == "AS"
        name = part[2] if aliased else part[0]
        whole = _span(source, part[: 3 if aliased else 1])
        if name.text.isidentifier():
            yield Declaration(Sort.IMPORT, name.text, _span(source, [name]), whole, path, part[0].text)


def _listed(source: Source, head: Sequence[Lexeme], sort: Sort) -> Iterator[Declaration]:
    """The parameters behind the name, or the axes behind ``grid``."""
    kinds = [word.kind for word in head]
    opener = 2 if sort is Sort.PARAMETER else next((k + 1 for k in range(2, len(head)) if kinds[k] == "GRID"), 0)
    if not opener or kinds[opener : opener + 1] != ["LPAR"]:
        return
    depth, stop = 0, len(head)
    for place in range(opener, len(head)):
        depth += {"LPAR": 1, "RPAR": -1}.get(kinds[place], 0)
        if depth == 0:
            stop = place
            break
    for part in _parted(head[opener + 1 : stop]):
        if part[0].text.isidentifier():
            kind = part[2].text if len(part) > 2 and part[1].kind == "COLON" else ""
            yield Declaration(sort, part[0].text, _span(source, part[:1]), _span(source, part), kind)


def _named(source: Source, section: Section) -> Iterator[Declaration]:
    words = section.lexemes
    if section.kind not in ("STEP", "LEARN") or len(words) < 2 or not words[1].text.isidentifier():
        return
    equal = len(words) > 2 and words[2].kind == "EQUAL"
    if section.kind == "STEP" and equal:
        yield Declaration(Sort.STEP, words[1].text, _span(source, words[1:2]), _span(source, words))
    elif section.kind == "LEARN":
        selector = words[3].text if equal and len(words) > 3 else ""
        yield Declaration(Sort.SELECTION, words[1].text, _span(source, words[1:2]), _span(source, words), selector)


def _parted(words: Sequence[Lexeme]) -> Iterator[Sequence[Lexeme]]:
    """Parted at the commas that are in no brackets; what is empty is left out."""
    depth, begun = 0, 0
    for place, word in enumerate(words):
        depth += bool(re.match(r"[({\[]", word.text)) - bool(re.match(r"[)}\]]", word.text))
        if word.kind == "COMMA" and depth == 0:
            if place > begun:
                yield words[begun:place]
            begun = place + 1
    if begun < len(words):
        yield words[begun:]


def _span(source: Source, words: Sequence[Lexeme]) -> Span:
    return Span(source, words[0].start, end(words[-1]))
