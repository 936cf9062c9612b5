"""Limits of a text: what is nested too deeply, or has more statements than are written by hand, is refused early."""

from __future__ import annotations

from collections.abc import Iterable

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, PatternError
from ..diagnostics.source import Source, Span
from .tokens import Token

DEEPEST = 100
"""Levels of nesting in a text. Later passes recurse over the tree, and Python's stack is finite."""

MOST_STATEMENTS = 1000
"""Declarations, steps, claims and the like of one file. The largest stock file has a dozen."""

_COUNTED = frozenset(["RULE", "PATTERN", "PLAN", "REQUIRE", "LEARN", "STEP", "PROVE"])  # words that are never names
_OPENING, _CLOSING = frozenset(["LPAR", "LBRACE"]), frozenset(["RPAR", "RBRACE"])


def refuse_excess(source: Source, tokens: Iterable[Token]) -> None:
    """Brackets in brackets and statements are counted before they are parsed. Raises PatternError."""
    depth = statements = 0
    for token in tokens:
        depth += (token.kind in _OPENING) - (token.kind in _CLOSING)
        statements += token.kind in _COUNTED
        if depth > DEEPEST:
            raise nested(Span(source, token.start, token.end))
        if statements > MOST_STATEMENTS:
            message = f"the file has more than {MOST_STATEMENTS:,} declarations, steps and claims"
            help = "share rules between smaller files with `from ... import`"
            place = Span(source, token.start, token.end)
            raise PatternError([Diagnostic(codes.FILE_SIZE, message, place, help=(help,))])


def nested(place: Span) -> PatternError:
    """Without brackets too a tree can be deep: each `not`, and each `or` of a row of them, is a level."""
    help = "give the parts names with `rule`; write a row of positions as a set, such as `{0, 3, 5..9}`"
    return PatternError([Diagnostic(codes.NESTING, f"nested more than {DEEPEST} levels deep", place, help=(help,))])
