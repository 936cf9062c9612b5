"""A text as statements: what stands on lines of its own, each with the comments that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

from .. import syntax
from ..diagnostics.source import Source
from ..parsing.lexeme import COMMENT, Lexeme
from ..parsing.parse import lexemes, parse

_ALWAYS = frozenset({"DOC", "RULE", "PATTERN", "PLAN", "REQUIRE", "LEARN", "PROVE"})
"""The words that begin a statement wherever they stand. `step`, `layers` and `from` do so only where the tree says it:
`prove reach in 1 step step a` has two statements."""

_OPENING = frozenset({"LPAR", "LBRACE", "LSQB"})
_CLOSING = frozenset({"RPAR", "RBRACE", "RSQB"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A rule or an import; the head or the closing brace of a pattern or a plan; what stands between the two; a
    docstring; or a comment on a line of its own.

    ``lexemes`` are its words and the comments between them, ``comment`` is the one at its end. ``level`` is 1 in a
    body, 0 elsewhere.
    """

    lexemes: tuple[Lexeme, ...]
    level: int
    comment: str = ""

    @property
    def kind(self) -> str:
        return self.lexemes[0].kind

    @property
    def after_blank(self) -> bool:
        return self.lexemes[0].breaks > 1

    @property
    def ends_declaration(self) -> bool:
        """Whether a rule, an import, a pattern or a plan ends here."""
        return self.kind in ("RULE", "FROM") or (self.level == 0 and self.lexemes[-1].kind == "RBRACE")


def outline(source: Source) -> list[Statement]:
    """The statements of a text in order. Raises PatternError with every syntax error."""
    return _Outline(_starts(parse(source))).run(source)


def _starts(tree: syntax.Module) -> frozenset[int]:
    """Where steps, assignments and imports begin."""
    steps = (step for pattern in tree.patterns for step in pattern.steps)
    assignments = (assignment for plan in tree.plans for assignment in plan.assignments)
    return frozenset(node.span.start for node in (*steps, *assignments, *tree.imports))


class _Outline:
    """One walk over the words. ``own`` holds the comments on lines of their own since the last word: whether they stand
    between two statements or within one is known at the next word."""

    def __init__(self, starts: frozenset[int]) -> None:
        self.starts = starts
        self.done: list[Statement] = []
        self.open: list[Lexeme] = []
        self.own: list[Lexeme] = []
        self.level = self.depth = 0

    def run(self, source: Source) -> list[Statement]:
        level = 0
        for lexeme in lexemes(source):
            if lexeme.kind == COMMENT:
                (self.own if lexeme.breaks or not self.open else self.open).append(lexeme)
                continue
            ends_body = lexeme.kind == "RBRACE" and self.depth == 0
            if ends_body or lexeme.kind in _ALWAYS or lexeme.start in self.starts:
                self.close(level)
                level = self.level = 0 if ends_body else self.level
            self.open += [*self.own, lexeme]
            self.own.clear()
            if lexeme.kind == "LBRACE" and self.depth == 0 and self.open[0].kind in ("PATTERN", "PLAN"):
                self.level = 1
            elif not ends_body:
                self.depth += (lexeme.kind in _OPENING) - (lexeme.kind in _CLOSING)
        self.close(level)
        return self.done

    def close(self, level: int) -> None:
        """End the statement that began at the level, and make statements of the comments after it."""
        if self.open:
            ended = self.open[-1].kind == COMMENT
            comment = self.open.pop().text if ended else ""
            self.done.append(Statement(tuple(self.open), level, comment))
        self.done += [Statement((comment,), self.level) for comment in self.own]
        self.open, self.own = [], []
