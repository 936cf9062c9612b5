"""Text to syntax tree. The only file that imports lark; the language itself is in ``grammar.lark``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import lark

from .. import syntax
from ..diagnostics.diagnostic import Diagnostic, PatternError
from ..diagnostics.source import Source
from .declare import DeclarationBuilder
from .lexeme import COMMENT, Lexeme
from .limits import nested, refuse_excess
from .mistakes import Mistake, explain
from .recover import MOST_ERRORS, Pass
from .stack import Rule, Stack, Table
from .tokens import UNREADABLE, Terminals, Token

_COMMENT = re.compile(r"#[^\n]*")  # as in the grammar, where the lexer drops them


def parse(source: Source) -> syntax.Module:
    """The syntax tree of a file.

    Raises PatternError with every syntax error: after an error, parsing goes on at the next statement.
    """
    module: syntax.Module = _built(source, "start")
    return module


def parse_value(source: Source) -> syntax.Value:
    """The value of one argument given as text: ``64``, ``10%``, ``first(2) | {7}``. Raises PatternError."""
    value: syntax.Value = _built(source, "argument_text")
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


def _with_comments(text: str, tokens: list[Token]) -> Iterator[Lexeme]:
    end = 0
    for token in (*tokens, None):
        start = len(text) if token is None else token.start
        for comment in _COMMENT.finditer(text, end, start):
            yield Lexeme(COMMENT, comment.group().rstrip(), comment.start(), text.count("\n", end, comment.start()))
            end = comment.end()
        if token is not None:
            yield Lexeme(token.kind, token.text, start, text.count("\n", end, start))
            end = token.end


def following(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """What can stand after a text that is being written: the words of the language, and the other terminals by name.

    Words that are names too are left out where a name can stand. Statements with mistakes are passed over.
    """
    source = Source("text", text)
    stack = _stack("start", DeclarationBuilder(source))
    accepted = Pass(source, _tokens(source)[0], stack, _soft()).run(Stack.accepted)[0]
    terminals: frozenset[str] = accepted or frozenset()
    if "NAME" in terminals:
        terminals -= _soft()
    spelled = {terminal.name: terminal.pattern.value for terminal in _lark().terminals}
    found = frozenset(spelled[name] for name in terminals & spelled.keys() if spelled[name].isalpha())
    return found, frozenset(name for name in terminals if spelled.get(name) not in found)


@cache
def _lark() -> lark.Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True, start=["start", "argument_text"])


@cache
def _terminals() -> Terminals:
    """No state of the parser is asked for: a word of the language is the same token everywhere."""
    every = _lark().terminals
    literal = {each.pattern.value: str(each.name) for each in every if each.pattern.type == "str"}
    read = [each for each in every if each.pattern.type == "re"]
    read.sort(key=lambda each: (-each.priority, -len(each.pattern.value)))
    return Terminals(literal, {each.name: each.pattern.to_regexp() for each in read}, _lark().ignore_tokens)


@cache
def _table() -> Table:
    """That of lark, whose own parser makes a tree first: this takes four times as long as to make ours at once."""
    rules = {rule: _rule(rule) for rule in _lark().rules}
    actions: dict[int, dict[str, int | str | Rule]] = {}
    after: dict[int, dict[str, int]] = {}
    for state, found in _lark().parse_interactive(start="start").parser_state.parse_conf.states.items():
        kinds = {str(kind): to for kind, (_, to) in found.items()}  # lark's own texts take long to compare
        actions[state] = {kind: rules.get(to, to) for kind, to in kinds.items() if kind.isupper()}
        after[state] = {origin: to for origin, to in kinds.items() if not origin.isupper()}
    return Table(actions, after, {})


def _rule(rule: Any) -> Rule | str:
    """What lark's rule leaves of its symbols: no signs and words of the language, unless it says so, a None for each
    optional part that is not there, and what ``(...)*`` has read in its place. Its origin, where it only passes on."""
    children: list[tuple[int, bool] | None] = []
    symbols = iter(enumerate(rule.expansion))
    for absent in rule.options.empty_indices or [False] * len(rule.expansion):
        if absent:
            children.append(None)
            continue
        at, symbol = next(symbols)
        if rule.options.keep_all_tokens or not (symbol.is_term and symbol.filter_out):
            children.append((at, symbol.name.startswith("_")))
    origin, size = str(rule.origin.name), len(rule.expansion)
    many = origin.startswith("_")
    passes = not many and rule.options.expand1 and rule.alias is None and len(children) == 1
    if passes and size == 1:
        return origin
    return Rule(origin, size, None if many or passes else str(rule.alias or origin), many, tuple(children))


def _stack(start: str, builder: DeclarationBuilder) -> Stack:
    state = _lark().parse_interactive(start=start).parser_state.parse_conf
    return Stack(_table(), state.start_state, state.end_state, builder)


@cache
def _soft() -> frozenset[str]:
    """The terminals that are words of the language and names too: the alternatives of the rule ``name``."""
    alternatives = (rule.expansion for rule in _lark().rules if rule.origin.name == "name")
    return frozenset(expansion[0].name for expansion in alternatives) - {"NAME"}


def _built(source: Source, start: str) -> Any:
    tokens, found = _tokens(source)
    refuse_excess(source, tokens)
    builder = DeclarationBuilder(source)
    stack, value = _stack(start, builder), None
    if not found or start == "start":  # an argument is one line: after its first mistake there is nothing to learn
        value, mistakes = Pass(source, tokens, stack, _soft(), recovers=start == "start").run(Stack.finish)
        found = sorted([*found, *mistakes], key=lambda each: each.span.start)
    if found:
        raise PatternError(found[:MOST_ERRORS])
    if stack.deep is not None:
        raise nested(stack.deep)
    if builder.found:
        raise PatternError(builder.found)
    return value


def _tokens(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens of a text. In the place of a character that begins none stands a token that fits nowhere; the first of
    a line is a diagnostic, and so many are read."""
    tokens = _terminals().tokens(source.text)
    unreadable = [at for at, token in enumerate(tokens) if token.kind == UNREADABLE]
    if len(unreadable) >= MOST_ERRORS:
        del tokens[unreadable[MOST_ERRORS - 1] + 1 :]
    lines = {source.position(tokens[at].start)[0]: tokens[at] for at in reversed(unreadable[:MOST_ERRORS])}
    first = sorted(lines.values(), key=lambda token: token.start)
    return tokens, [explain(source, Mistake(token.start, token.end, None, frozenset())) for token in first]
