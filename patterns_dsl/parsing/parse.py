"""Text to syntax tree. The only file that imports lark; the language itself is in ``grammar.lark``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from importlib import resources
from typing import Any

import lark

from .. import syntax
from ..diagnostics.diagnostic import Diagnostic, PatternError
from ..diagnostics.source import Source
from .build import Concrete
from .declare import DeclarationBuilder
from .lexeme import COMMENT, Lexeme
from .limits import refuse_depth, refuse_excess
from .mistakes import Mistake, explain

MOST_ERRORS = 50
"""Syntax errors of one file that are reported."""

_DECLARATIONS = frozenset(["RULE", "PATTERN", "PLAN", "FROM"])
_STATEMENTS = _DECLARATIONS | {"REQUIRE", "LEARN", "STEP", "PROVE", "LAYERS"}
_UNREADABLE = "UNREADABLE"
_COMMENT = re.compile(r"#[^\n]*")  # as in the grammar, where the lexer drops them


def parse(source: Source) -> syntax.Module:
    """The syntax tree of a file.

    Raises PatternError with every syntax error: after an error, parsing goes on at the next statement.
    """
    module: syntax.Module = DeclarationBuilder(source).finish(_concrete(source, "start"))
    return module


def parse_value(source: Source) -> syntax.Value:
    """The value of one argument given as text: ``64``, ``10%``, ``first(2) | {7}``. Raises PatternError."""
    value: syntax.Value = DeclarationBuilder(source).finish(_concrete(source, "argument_text"))
    return value


def words() -> frozenset[str]:
    """The words of the language, as they are written."""
    patterns = (terminal.pattern.value for terminal in _lark().terminals)
    return frozenset(pattern for pattern in patterns if pattern.isalpha())


def lexemes(source: Source) -> Iterator[Lexeme]:
    """The tokens of a text and the comments between them, in order.

    Raises PatternError where a character begins no token.
    """
    tokens, found = _tokens(source)
    if found:
        raise PatternError(found)
    yield from _with_comments(source.text, tokens)


def readable(source: Source) -> tuple[Lexeme, ...]:
    """The same of a text that is being written: a character that begins no token has a kind that is no terminal."""
    return tuple(_with_comments(source.text, _tokens(source)[0]))


def _with_comments(text: str, tokens: list[lark.Token]) -> Iterator[Lexeme]:
    end = 0
    for token in (*tokens, None):
        start = len(text) if token is None else token.start_pos or 0
        for comment in _COMMENT.finditer(text, end, start):
            yield Lexeme(COMMENT, comment.group().rstrip(), comment.start(), text.count("\n", end, comment.start()))
            end = comment.end()
        if token is not None:
            yield Lexeme(token.type, str(token), start, text.count("\n", end, start))
            end = start + len(token)


def following(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """What can stand after a text that is being written: the words of the language, and the other terminals by name.

    Words that are names too are left out where a name can stand. Statements with mistakes are passed over.
    """
    source = Source("text", text)
    accepted = _Parse(source, _tokens(source)[0], "start").run(lambda parser: frozenset(parser.accepts()))[0]
    terminals: frozenset[str] = accepted or frozenset()
    if "NAME" in terminals:
        terminals -= _soft()
    spelled = {terminal.name: terminal.pattern.value for terminal in _lark().terminals}
    found = frozenset(spelled[name] for name in terminals & spelled.keys() if spelled[name].isalpha())
    return found, frozenset(name for name in terminals if spelled.get(name) not in found)


@cache
def _lark() -> lark.Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    # The basic lexer knows no parser state: a word of the language is the same token everywhere.
    reader = lark.Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
        maybe_placeholders=True,
        start=["start", "argument_text"],
    )
    reader.lexer = reader._build_lexer()  # for all texts, where `lex` would build one for each
    return reader


@cache
def _soft() -> frozenset[str]:
    """The terminals that are words of the language and names too: the alternatives of the rule ``name``."""
    alternatives = (rule.expansion for rule in _lark().rules if rule.origin.name == "name")
    return frozenset(expansion[0].name for expansion in alternatives) - {"NAME"}


def _concrete(source: Source, start: str) -> Concrete:
    tokens, found = _tokens(source)
    refuse_excess(source, tokens)
    tree: Any = None
    if not found or start == "start":  # an argument is one line: after its first mistake there is nothing to learn
        last = tokens[-1] if tokens else None
        tree, mistakes = _Parse(source, tokens, start).run(lambda parser: parser.feed_eof(last))
        found = sorted([*found, *mistakes], key=lambda each: each.span.start)
    if found:
        raise PatternError(found[:MOST_ERRORS])
    refuse_depth(source, tree)
    return tree  # type: ignore[no-any-return]


def _tokens(source: Source) -> tuple[list[lark.Token], list[Diagnostic]]:
    """The tokens of a text. In the place of a character that begins none stands a token that fits nowhere; the first of
    a line is a diagnostic."""
    text, tokens, found, lines, unreadable = source.text, list[lark.Token](), list[Diagnostic](), set[int](), 0
    while True:
        try:
            tokens.extend(_lark().lex(text))
        except lark.exceptions.UnexpectedCharacters as error:
            place = error.pos_in_stream or 0
            line, column = source.position(place)
            if line not in lines:
                found.append(explain(source, Mistake(place, place + 1, None, frozenset())))
                lines.add(line)
            tokens.append(lark.Token(_UNREADABLE, text[place], place, line, column, line, column + 1, place + 1))
            unreadable += 1
            end = len(text) if unreadable == MOST_ERRORS else place + 1
            # What was read becomes space, so that it is not read again; every other offset and line stays.
            text = re.sub(r"[^\n]", " ", text[:end]) + text[end:]
        else:
            return tokens, found


class _Parse:
    """A pass over the tokens, and another where there is a mistake: at each its statement is dropped and the parser put
    back to where it began. To keep where statements begin takes a third of the time of a pass."""

    def __init__(self, source: Source, tokens: list[lark.Token], start: str) -> None:
        self.source, self.tokens, self.start = source, tokens, start
        self.recovers = start == "start"

    def run(self, end: Callable[[Any], Any]) -> tuple[Any, list[Diagnostic]]:
        """What ``end`` makes of the parser after the last token, and every mistake; None where the last mistake was not
        recovered from."""
        parser = self._begin()
        try:
            for token in self.tokens:
                parser.feed_token(token)
            return end(parser), []
        except lark.exceptions.UnexpectedToken:
            return self._recovered(end)

    def _begin(self) -> Any:
        return _lark().parse_interactive(start=self.start)

    def _recovered(self, end: Callable[[Any], Any]) -> tuple[Any, list[Diagnostic]]:
        self.parser = self._begin()
        self.begun: list[tuple[int, Any]] = [(0, _saved(self.parser))]  # (token, the parser before it) of statements
        found: list[Diagnostic] = []
        at = 0
        while True:
            try:
                while at < len(self.tokens):
                    if at > self.begun[-1][0] and self._starts(at):
                        self.begun.append((at, _saved(self.parser)))
                    self.parser.feed_token(self.tokens[at])
                    at += 1
                return end(self.parser), found
            except lark.exceptions.UnexpectedToken:
                known = at < len(self.tokens) and self.tokens[at].type == _UNREADABLE
                mistake = None if known else self._mistake(at)
                if mistake is not None and (not found or mistake.start > found[-1].span.start):
                    found.append(explain(self.source, mistake))
                if not self.recovers or len(found) == MOST_ERRORS or not self.tokens:
                    return None, found
                at = self._drop(at)

    def _mistake(self, at: int) -> Mistake:
        expected = frozenset(self.parser.accepts())
        soft = _soft() if "NAME" in expected else frozenset[str]()
        if at == len(self.tokens):
            end = len(self.source.text.rstrip())
            return Mistake(end, end, "$END", expected, soft)
        token = self.tokens[at]
        return Mistake(token.start_pos or 0, token.end_pos or 0, str(token.type), expected, soft)

    def _starts(self, at: int) -> bool:
        """Whether a statement or declaration begins at the token, or one has just ended before it."""
        if self._on_new_line(at) and self.tokens[at].type in _STATEMENTS:
            return True
        return at > 0 and self.tokens[at - 1].type == "RBRACE" and self._on_new_line(at - 1)

    def _on_new_line(self, at: int) -> bool:
        return at == 0 or self.tokens[at].line != self.tokens[at - 1].end_line

    def _drop(self, at: int) -> int:
        """Take the statement around the token away; an error in a header takes the whole declaration along, since its
        statements mean nothing without it."""
        while len(self.begun) > 1 and self.begun[-1][0] >= at:
            self.begun.pop()
        start, parser = self.begun[-1]
        header = start == len(self.tokens) or self.tokens[start].type not in _STATEMENTS - _DECLARATIONS
        end, depth = start, 0
        while end < len(self.tokens):
            kind = self.tokens[end].type
            closes = kind == "RBRACE" and depth == 0 and not header
            ends = closes or kind in (_DECLARATIONS if header else _STATEMENTS)
            if ends and end >= max(at, start + 1) and self._on_new_line(end):
                break
            depth += (kind == "LBRACE") - (kind == "RBRACE")
            end += 1
        del self.tokens[start:end]
        self.parser = _saved(parser)
        return start


def _saved(parser: Any) -> Any:
    """A parser in the same state. Parsing changes in place only the lists of the trees that lie on the stack; to copy
    all that is below them too, as lark would, takes a time that is quadratic in the length of the text."""
    saved = parser.copy(deepcopy_values=False)
    values = saved.parser_state.value_stack
    values[:] = [
        lark.Tree(value.data, list(value.children), copy(value.meta)) if isinstance(value, lark.Tree) else value
        for value in values
    ]
    return saved
