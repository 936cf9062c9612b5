"""Text to syntax tree. The only file that imports lark; the language itself is in ``grammar.lark``."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import lark

from . import codes, syntax
from .build import Concrete
from .declare import DeclarationBuilder
from .diagnostic import Diagnostic, PatternError
from .mistakes import Mistake, blank_out, explain
from .source import Source, Span

DEEPEST = 100
"""Levels of nesting in a text. Later passes recurse over the tree, and Python's stack is finite."""


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


@cache
def _lark() -> lark.Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    # The basic lexer knows no parser state: a word of the language is the same token everywhere.
    return lark.Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
        maybe_placeholders=True,
        start=["start", "argument_text"],
    )


def _concrete(source: Source, start: str) -> Concrete:
    text = source.text
    found: list[Diagnostic] = []
    while True:
        try:
            tree: Any = _lark().parse(text, start=start)
            break
        except lark.exceptions.UnexpectedInput as error:
            mistake = _mistake(error, len(source.text.rstrip()))
            if not found or mistake.start > found[-1].span.start:
                found.append(explain(source, mistake))
            shorter = blank_out(text, mistake.start)
            if shorter == text or start != "start":
                break
            text = shorter
    if found:
        raise PatternError(found)
    if _depth(tree) > DEEPEST:
        span = Span(source, 0, len(source.text))
        help = "give the parts names with `rule`"
        raise PatternError([Diagnostic(codes.NESTING, f"nested more than {DEEPEST} levels deep", span, help=(help,))])
    return tree  # type: ignore[no-any-return]


def _mistake(error: lark.exceptions.UnexpectedInput, end: int) -> Mistake:
    match error:
        case lark.exceptions.UnexpectedCharacters():
            start = error.pos_in_stream or 0
            return Mistake(start, start + 1, None, frozenset())
        case lark.exceptions.UnexpectedToken(token=token) if token.type != "$END":
            expected = frozenset(error.accepts or error.expected or ())
            return Mistake(token.start_pos or 0, token.end_pos or 0, str(token.type), expected)
        case _:
            accepts = getattr(error, "accepts", None) or getattr(error, "expected", None)
            return Mistake(end, end, "$END", frozenset(accepts or ()))


def _depth(tree: Any) -> int:
    """Levels of the tree; a loop, since the stack is what is being protected."""
    deepest, level = 0, [tree]
    while level:
        level = [child for node in level for child in node.children if isinstance(child, lark.Tree)]
        deepest += 1
    return deepest
