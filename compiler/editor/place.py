"""Where a cursor stands: in which statement, behind which words, in which brackets, and with which variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...patterns_dsl.parsing.lexeme import COMMENT, Lexeme
from .outline import Block, Outline, Section, end


@dataclass(frozen=True, slots=True)
class Opening:
    """A bracket that is still open. ``callee`` is the name before a parenthesis; ``number`` counts the arguments before
    this one, ``argument`` is the name of this one (``w`` in ``w = ``), ``named`` those that were named before."""

    bracket: str
    callee: str = ""
    number: int = 0
    argument: str = ""
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """``before`` are the words of the statement up to here. ``variables`` are bound here, each by the word that binds
    it. ``prefix`` is where the word begins that is being written."""

    block: Block | None
    section: Section | None
    before: tuple[Lexeme, ...]
    prefix: int
    openings: tuple[Opening, ...] = ()
    variables: tuple[tuple[str, Lexeme], ...] = ()

    @property
    def previous(self) -> str:
        """The kind of the word before."""
        return self.before[-1].kind if self.before else ""

    @property
    def callee(self) -> Opening | None:
        """The call whose arguments are being written."""
        return next((one for one in reversed(self.openings) if one.bracket == "(" and one.callee), None)


def word_at(outline: Outline, offset: int) -> Lexeme | None:
    """The word that an offset is in, or right behind."""
    found = [lexeme for lexeme in outline.lexemes if lexeme.start <= offset <= end(lexeme)]
    names = [lexeme for lexeme in found if lexeme.text[0].isalnum() or lexeme.text[0] == "_"]
    return next(iter((names or found)[-1:]), None)


def is_silent(outline: Outline, offset: int) -> bool:
    """Whether the place is inside a comment or a docstring."""
    text = outline.source.text
    for lexeme in outline.lexemes:
        if lexeme.start >= offset:
            return False
        if lexeme.kind == COMMENT and "\n" not in text[lexeme.start : offset]:
            return True
        if lexeme.kind == "DOC" and offset < end(lexeme):
            return True
    return False


def place_at(outline: Outline, offset: int) -> Place:
    """The place of a cursor at an offset. A word that it is in, or right behind, is still being written."""
    word = word_at(outline, offset)
    written = word is not None and (word.text[0].isalnum() or word.text[0] == "_") and word.start < offset
    start = word.start if word is not None and written else offset
    block = outline.block(start)
    if block is None or start == block.start or (start == block.end and outline.source.text[start - 1] == "}"):
        return Place(None, None, (), start)
    section = next((one for one in reversed(block.sections) if one.start < start), None)
    if section is None:
        return Place(None, None, (), start)
    count = sum(lexeme.start < start for lexeme in section.lexemes)
    openings, variables = _open(section.lexemes, count)
    return Place(block, section, section.lexemes[:count], start, openings, variables)


def _open(words: Sequence[Lexeme], count: int) -> tuple[tuple[Opening, ...], tuple[tuple[str, Lexeme], ...]]:
    """The brackets that the first words leave open, and the variables that are bound behind them."""
    openings: list[Opening] = []
    bound: list[tuple[int, str, Lexeme]] = []  # with how many brackets are open around it
    for place in range(count):
        word, depth = words[place], len(openings)
        match word.text:
            case "(" | "{" | "[":
                callee = words[place - 1].text if word.text == "(" and place and _is_name(words[place - 1]) else ""
                openings.append(Opening(word.text, callee))
                bound += [(depth + 1, one.text, one) for one in _binders(words, place)]
            case ")" | "}" | "]":
                openings = openings[:-1]
                bound = [one for one in bound if one[0] < depth]
            case "," if openings:
                last = openings[-1]
                named = (*last.named, *filter(None, [last.argument]))
                openings[-1] = Opening(last.bracket, last.callee, last.number + 1, "", named)
            case "=" if openings and place >= 2 and words[place - 2].text in ("(", ",") and openings[-1].callee:
                last = openings[-1]
                openings[-1] = Opening(last.bracket, last.callee, last.number, words[place - 1].text, last.named)
            case "exists" if place + 1 < len(words):
                bound.append((depth, words[place + 1].text, words[place + 1]))
            case _:
                pass
    return tuple(openings), tuple((name, word) for _, name, word in bound)


def _binders(words: Sequence[Lexeme], place: int) -> list[Lexeme]:
    """The variables of ``{ (i, j) : ...`` and of ``{ j : ...``; none of ``{0, 5}``."""
    after = words[place + 1 : place + 7]
    match [word.text for word in after]:
        case ["(", query, ",", key, ")", *_] if (
            words[place].text == "{" and query.isidentifier() and key.isidentifier()
        ):
            return [after[1], after[3]]
        case [name, ":", *_] if words[place].text == "{" and name.isidentifier():
            return [after[0]]
        case _:
            return []


def _is_name(word: Lexeme) -> bool:
    return word.text.isidentifier() and word.kind not in (
        "IN",
        "NOT",
        "GATED",
        "AND",
        "OR",
        "DIV",
        "MOD",
        "PROVE",
        "STEP",
    )
