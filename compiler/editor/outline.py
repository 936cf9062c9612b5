"""The statements of a text, found by its words alone: while a text is being written there is often no tree of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ...patterns_dsl.diagnostics.source import Source, Span
from ...patterns_dsl.parsing.lexeme import COMMENT, Lexeme
from ...patterns_dsl.parsing.parse import readable

_BRACKETS = {"LPAR": 1, "LBRACE": 1, "LSQB": 1, "RPAR": -1, "RBRACE": -1, "RSQB": -1}


@dataclass(frozen=True, slots=True)
class Section:
    """A statement, or the head of a declaration with its opening brace; without comments."""

    lexemes: tuple[Lexeme, ...]

    @property
    def kind(self) -> str:
        """The kind of its first word: ``STEP``, ``PROVE``, ``PATTERN``."""
        return self.lexemes[0].kind

    @property
    def start(self) -> int:
        return self.lexemes[0].start

    @property
    def end(self) -> int:
        return end(self.lexemes[-1])


@dataclass(frozen=True, slots=True)
class Block:
    """An import or a declaration: its head and its statements. ``end`` is behind its closing brace, or where the next
    block begins."""

    documentation: Lexeme | None
    sections: tuple[Section, ...]
    end: int

    @property
    def kind(self) -> str:
        """``FROM``, ``RULE``, ``PATTERN`` or ``PLAN``."""
        return self.sections[0].kind

    @property
    def start(self) -> int:
        return self.sections[0].start

    def span(self, source: Source) -> Span:
        """From its first word to its last."""
        last = self.sections[-1].end
        return Span(source, self.start, max(last, self.end if source.text[self.end - 1 : self.end] == "}" else last))


@dataclass(frozen=True, slots=True)
class Outline:
    """``lexemes`` are all words of the text, comments included."""

    source: Source
    lexemes: tuple[Lexeme, ...]
    documentation: Lexeme | None
    blocks: tuple[Block, ...]

    def block(self, offset: int) -> Block | None:
        """The block that an offset lies in, or after which it stands while the block may go on."""
        return next((block for block in reversed(self.blocks) if block.start <= offset <= block.end), None)


def end(lexeme: Lexeme) -> int:
    return lexeme.start + len(lexeme.text)


@lru_cache(maxsize=64)
def outline(source: Source) -> Outline:
    """The outline of a text, whatever is wrong with it."""
    lexemes = readable(source)
    words = [lexeme for lexeme in lexemes if lexeme.kind != COMMENT]
    first = words[0] if words and words[0].kind == "DOC" else None
    starts = [place for place in range(len(words)) if _begins_block(words, place)]
    blocks = []
    for place, stop in pairwise([*starts, len(words)]):
        about = words[place - 1] if place and words[place - 1].kind == "DOC" and place > 1 else None
        own = words[place : stop - 1] if stop < len(words) and words[stop - 1].kind == "DOC" else words[place:stop]
        limit = len(source.text) if stop == len(words) else words[stop].start
        blocks.append(_block(about, own, limit))
    return Outline(source, lexemes, first, tuple(blocks))


def _begins_block(words: Sequence[Lexeme], place: int) -> bool:
    if words[place].kind == "FROM":
        return place + 1 < len(words) and words[place + 1].text.startswith('"')
    return words[place].kind in ("RULE", "PATTERN", "PLAN")


def _block(about: Lexeme | None, words: Sequence[Lexeme], limit: int) -> Block:
    """``limit``: where the block ends, if no brace closes it."""
    if words[0].kind in ("FROM", "RULE"):
        return Block(about, (Section(tuple(words)),), limit)
    begun = _head(words)
    sections, depth = [Section(tuple(words[:begun]))], 0
    for place in range(begun, len(words)):
        if place > begun and _begins_statement(words, begun, place):
            sections.append(Section(tuple(words[begun:place])))
            begun, depth = place, 0  # no statement begins within brackets, whatever is still open
        depth += _BRACKETS.get(words[place].kind, 0)
        if depth < 0 and words[place].kind != "RBRACE":
            depth = 0
        elif depth < 0:
            limit, words = end(words[place]), words[:place]
            break
    if begun < len(words):
        sections.append(Section(tuple(words[begun:])))
    return Block(about, tuple(sections), limit)


def _head(words: Sequence[Lexeme]) -> int:
    """How many words stand before the body: up to the first brace that is in no parentheses, or begins a statement."""
    depth = 0
    for place, word in enumerate(words):
        statement = place + 1 < len(words) and _begins_statement(words, place + 1, place + 1)
        if word.kind == "LBRACE" and (depth == 0 or statement):
            return place + 1
        depth += _BRACKETS.get(word.kind, 0)
    return len(words)


def _begins_statement(words: Sequence[Lexeme], begun: int, place: int) -> bool:
    """``begun``: where the statement before began. ``step`` and ``layers`` also end a claim: ``reach in 1 step``."""
    kind = words[place].kind
    if kind == "STEP":
        return not _counts([word.kind for word in words[begun:place]])
    if kind == "LAYERS":
        return place + 1 < len(words) and words[place + 1].kind in ("ALL", "INTEGER")
    return kind in ("REQUIRE", "LEARN", "PROVE")


def _counts(claim: Sequence[str]) -> bool:
    """Whether a claim says ``reach in K``, and not yet of what."""
    if claim[:1] != ["PROVE"] or "REACH" not in claim or "IN" not in claim or {"STEP", "STEPS"} & set(claim):
        return False
    number = claim[claim.index("IN") + 1 :]
    return bool(number) and number[0] != "ANY"
