"""Limits of a text: what is nested too deeply, or has more statements than are written by hand, is refused early."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, PatternError
from ..diagnostics.source import Source, Span

DEEPEST = 100
"""Levels of nesting in a text. Later passes recurse over the tree, and Python's stack is finite."""

MOST_STATEMENTS = 1000
"""Declarations, steps, claims and the like of one file. The largest stock file has a dozen."""

_COUNTED = frozenset(["RULE", "PATTERN", "PLAN", "REQUIRE", "LEARN", "STEP", "PROVE"])  # words that are never names
_OPENING, _CLOSING = frozenset(["LPAR", "LBRACE"]), frozenset(["RPAR", "RBRACE"])


class Token(Protocol):
    type: str
    start_pos: int | None
    end_pos: int | None


def refuse_excess(source: Source, tokens: Iterable[Token]) -> None:
    """Brackets in brackets and statements are counted before they are parsed. Raises PatternError."""
    depth = statements = 0
    for token in tokens:
        depth += (token.type in _OPENING) - (token.type in _CLOSING)
        statements += token.type in _COUNTED
        if depth > DEEPEST:
            raise _nested(Span(source, token.start_pos or 0, token.end_pos or 0))
        if statements > MOST_STATEMENTS:
            message = f"the file has more than {MOST_STATEMENTS:,} declarations, steps and claims"
            help = "share rules between smaller files with `from ... import`"
            place = Span(source, token.start_pos or 0, token.end_pos or 0)
            raise PatternError([Diagnostic(codes.FILE_SIZE, message, place, help=(help,))])


def refuse_depth(source: Source, tree: Any) -> None:
    """Without brackets too a tree can be deep: each `not`, and each `or` of a row of them, is a level. A loop, since
    Python's stack is what is being protected. Raises PatternError."""
    level = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in node.children if hasattr(child, "children")]
    placed = [node.meta for node in level if hasattr(node.meta, "start_pos")]
    if placed:
        raise _nested(Span(source, placed[0].start_pos, placed[0].end_pos))


def _nested(place: Span) -> PatternError:
    help = "give the parts names with `rule`; write a row of positions as a set, such as `{0, 3, 5..9}`"
    return PatternError([Diagnostic(codes.NESTING, f"nested more than {DEEPEST} levels deep", place, help=(help,))])
