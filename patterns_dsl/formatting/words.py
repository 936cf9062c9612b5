"""The words of a statement and the spaces between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..parsing.lexeme import COMMENT, Lexeme

UNARY = "UNARY"
"""The kind of a minus that stands before its only operand."""

_OPENING = frozenset({"LPAR", "LBRACE", "LSQB"})
_CLOSING = frozenset({"RPAR", "RBRACE", "RSQB"})
_TIGHT = frozenset({"DOT", "DOTS", "CIRCUMFLEX"})
_KEYWORDS = frozenset({"STEP", "REQUIRE", "PROVE", "NOT", "GATED", "AND", "OR", "IN", "DIV", "MOD"})
"""The words before an operand or a parenthesis that are never names."""


@dataclass(frozen=True, slots=True)
class Word:
    """``apart``: a space stands before it, unless it begins a line. ``depth`` counts the brackets around it; a bracket
    is not within itself."""

    kind: str
    text: str
    apart: bool
    depth: int


def words(lexemes: Sequence[Lexeme]) -> list[Word]:
    """The words of one statement, its comments left out."""
    tokens = [lexeme for lexeme in lexemes if lexeme.kind != COMMENT]
    kinds = _kinds(tokens)
    roomy, parameters = _roomy(kinds), _parameters(kinds)
    found, around = list[Word](), list[int]()  # `around`: the places of the brackets that are open
    for place, (kind, token) in enumerate(zip(kinds, tokens, strict=True)):
        before = kinds[place - 1] if place else ""
        within = around.pop() if kind in _CLOSING and around else None
        if kind in _CLOSING or before in _OPENING:
            apart = (place - 1 if within is None else within) in roomy
        elif kind == "COMMA" or kind in _TIGHT or before in _TIGHT or before == UNARY:
            apart = False
        elif kind == "COLON":
            apart = around != parameters
        elif kind == "LPAR":
            apart = not _names(before, tokens[place - 1].text) or kinds[place - 3 : place] == ["REACH", "IN", "ANY"]
        else:
            apart = True
        found.append(Word(kind, token.text, apart, len(around)))
        if kind in _OPENING:
            around.append(place)
    return found


def line(words: Sequence[Word]) -> str:
    """The words as they stand on one line."""
    return "".join(" " * (word.apart and place > 0) + word.text for place, word in enumerate(words))


def _names(kind: str, text: str) -> bool:
    """Whether a word can be a name: many words of the language can."""
    return text.isidentifier() and kind not in _KEYWORDS


def _kinds(tokens: Sequence[Lexeme]) -> list[str]:
    """The kinds of the tokens, a minus before its only operand told from one between two."""
    kinds = list[str]()
    for token, before in zip(tokens, [None, *tokens], strict=False):
        ends = before is not None and (
            before.kind in _CLOSING or before.kind in ("INTEGER", "PERCENT") or _names(before.kind, before.text)
        )
        kinds.append(UNARY if token.kind == "MINUS" and not ends else token.kind)
    return kinds


def _roomy(kinds: Sequence[str]) -> frozenset[int]:
    """The places of the braces with spaces inside: of bodies, `{ (i, j) : ... }`, `{ j : ... }`, not of `{0, 5..9}`."""
    found = set[int]()
    for place, kind in enumerate(kinds):
        match kinds[place + 1 : place + 4] if kind == "LBRACE" else []:
            case ["STEP", *_] | ["LPAR", _, "COMMA"] | [_, "COLON", _]:
                found.add(place)
    return frozenset(found)


def _parameters(kinds: Sequence[str]) -> list[int]:
    """The bracket around the parameters of a declaration, whose colons stand close: `w: int`."""
    return [2] if kinds[0] in ("RULE", "PATTERN") and kinds[2:3] == ["LPAR"] else [-1]
