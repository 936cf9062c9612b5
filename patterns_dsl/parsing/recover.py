"""A pass over the tokens of a text, and another where there is a mistake: at each its statement is dropped and the
parser put back to where it began, which the first pass does not keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..diagnostics.diagnostic import Diagnostic
from ..diagnostics.source import Source
from .mistakes import Mistake, explain
from .stack import END, Stack, Unexpected
from .tokens import UNREADABLE, Token

MOST_ERRORS = 50
"""Syntax errors of one file that are reported."""

_DECLARATIONS = frozenset(["RULE", "PATTERN", "PLAN", "FROM"])
_STATEMENTS = _DECLARATIONS | {"REQUIRE", "LEARN", "STEP", "PROVE", "LAYERS"}


class Pass:
    """``stack``: of nothing read; ``soft``: words of the language that are names too; ``recovers``: whether anything
    can be learned after the first mistake."""

    def __init__(
        self, source: Source, tokens: list[Token], stack: Stack, soft: frozenset[str], *, recovers: bool = True
    ) -> None:
        self.source, self.tokens, self.stack, self._soft, self._recovers = source, tokens, stack, soft, recovers

    def run(self, end: Callable[[Stack], Any]) -> tuple[Any, list[Diagnostic]]:
        """What ``end`` makes of the stack after the last token, and every mistake; None where the last mistake was not
        recovered from."""
        begun = self.stack.saved()
        try:
            for token in self.tokens:
                self.stack.feed(token)
            return end(self.stack), []
        except Unexpected:
            self.stack = begun
            return self._recovered(end)

    def _recovered(self, end: Callable[[Stack], Any]) -> tuple[Any, list[Diagnostic]]:
        self.begun: list[tuple[int, Stack]] = [(0, self.stack.saved())]  # (token, the stack before it) of statements
        found: list[Diagnostic] = []
        at = 0
        while True:
            try:
                while at < len(self.tokens):
                    if at > self.begun[-1][0] and self._starts(at):
                        self.begun.append((at, self.stack.saved()))
                    self.stack.feed(self.tokens[at])
                    at += 1
                return end(self.stack), found
            except Unexpected:
                known = at < len(self.tokens) and self.tokens[at].kind == UNREADABLE
                mistake = None if known else self._mistake(at)
                if mistake is not None and (not found or mistake.start > found[-1].span.start):
                    found.append(explain(self.source, mistake))
                if not self._recovers or len(found) == MOST_ERRORS or not self.tokens:
                    return None, found
                at = self._drop(at)

    def _mistake(self, at: int) -> Mistake:
        expected = self.stack.accepted()
        soft = self._soft if "NAME" in expected else frozenset[str]()
        if at == len(self.tokens):
            end = len(self.source.text.rstrip())
            return Mistake(end, end, END, expected, soft)
        token = self.tokens[at]
        return Mistake(token.start, token.end, token.kind, expected, soft)

    def _starts(self, at: int) -> bool:
        """Whether a statement or declaration begins at the token, or one has just ended before it."""
        if self._on_new_line(at) and self.tokens[at].kind in _STATEMENTS:
            return True
        return at > 0 and self.tokens[at - 1].kind == "RBRACE" and self._on_new_line(at - 1)

    def _on_new_line(self, at: int) -> bool:
        return at == 0 or "\n" in self.source.text[self.tokens[at - 1].end : self.tokens[at].start]

    def _drop(self, at: int) -> int:
        """Take the statement around the token away; an error in a header takes the whole declaration along, since its
        statements mean nothing without it."""
        while len(self.begun) > 1 and self.begun[-1][0] >= at:
            self.begun.pop()
        start, stack = self.begun[-1]
        header = start == len(self.tokens) or self.tokens[start].kind not in _STATEMENTS - _DECLARATIONS
        end, depth = start, 0
        while end < len(self.tokens):
            kind = self.tokens[end].kind
            closes = kind == "RBRACE" and depth == 0 and not header
            ends = closes or kind in (_DECLARATIONS if header else _STATEMENTS)
            if ends and end >= max(at, start + 1) and self._on_new_line(end):
                break
            depth += (kind == "LBRACE") - (kind == "RBRACE")
            end += 1
        del self.tokens[start:end]
        self.stack = stack.saved()
        return start
