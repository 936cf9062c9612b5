"""The tokens of a text, by one regular expression for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

UNREADABLE = "UNREADABLE"
"""The kind of a character that begins no token. Every other kind is a terminal of the grammar."""

_NAME, _SIGN = "NAME", "SIGN"


class Token(NamedTuple):
    """``start`` and ``end`` are offsets in the text."""

    kind: str
    text: str
    start: int
    end: int


class Terminals:
    """Those of a grammar. ``literal``: the names of those that are one text; words among them would be read as names.
    ``patterns``: regular expressions of the others, of which the first that matches counts; ``ignored``: which are
    dropped."""

    def __init__(self, literal: Mapping[str, str], patterns: Mapping[str, str], ignored: Iterable[str]) -> None:
        self._literal, self._ignored = literal, frozenset(ignored)
        signs = sorted((text for text in literal if not text.isalpha()), key=len, reverse=True)
        every = {**patterns, _SIGN: "|".join(map(re.escape, signs)), UNREADABLE: r"(?s:.)"}
        self._pattern = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in every.items()))

    def tokens(self, text: str) -> list[Token]:
        """In order; also the characters that begin none."""
        found, literal, ignored = list[Token](), self._literal, self._ignored
        for match in self._pattern.finditer(text):
            kind = match.lastgroup
            if kind in ignored:
                continue
            word = match.group()
            if kind in (_NAME, _SIGN):
                kind = literal.get(word, _NAME)
            found.append(Token(kind or UNREADABLE, word, match.start(), match.end()))
        return found
