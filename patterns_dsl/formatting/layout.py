"""Statements to the lines that they take, one by one: before blank lines and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..parsing.lexeme import COMMENT
from .documentation import indented
from .outline import Statement
from .words import Word, line, words
from .wrap import INDENT, WIDTH, wrap


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the result: ``code`` after ``indent`` spaces, then ``comment``.

    ``operator`` is where in the code the sign stands that lines up with those of its neighbours, 0 if none does;
    ``family`` tells which neighbours.
    """

    indent: int
    code: str
    comment: str = ""
    operator: int = 0
    family: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A statement and its lines."""

    statement: Statement
    lines: tuple[Line, ...]

    @property
    def is_line(self) -> bool:
        return len(self.lines) == 1


def layout(statements: Sequence[Statement]) -> Iterator[Block]:
    """The lines of each statement. A pattern that is one line by its author and fits stays so."""
    place = 0
    while place < len(statements):
        joined = short(statements[place : place + 3])
        statement = joined or statements[place]
        yield Block(statement, tuple(lines(statement)))
        place += 3 if joined else 1


def short(statements: Sequence[Statement]) -> Statement | None:
    """The first line, the only step and the last line of a pattern as one statement, where they may be one."""
    if [statement.kind for statement in statements] != ["PATTERN", "STEP", "RBRACE"]:
        return None
    whole = tuple(lexeme for statement in statements for lexeme in statement.lexemes)
    if any(lexeme.breaks for lexeme in whole[1:]) or len(line(words(whole))) > WIDTH:
        return None
    return Statement(whole, 0, statements[-1].comment)


def lines(statement: Statement) -> list[Line]:
    """The lines of one statement."""
    indent = INDENT * statement.level
    match statement.kind:
        case "COMMENT":
            return [Line(indent, statement.lexemes[0].text)]
        case "DOC":
            return _documentation(statement, indent)
        case _:
            return _code(statement, indent)


def _documentation(statement: Statement, indent: int) -> list[Line]:
    first, *rest = indented(statement.lexemes[0].text, indent)
    found = [Line(indent, first), *(Line(0, row) for row in rest)]
    return [*found[:-1], replace(found[-1], comment=statement.comment)]


def _code(statement: Statement, indent: int) -> list[Line]:
    found = list[Line]()
    is_head = statement.kind in ("PATTERN", "PLAN")
    deeper = 2 * INDENT if is_head else INDENT  # a body follows, and is no part of what goes before it
    for run, comment in _runs(statement):
        opens_body = is_head and [word.kind for word in run] == ["LBRACE"]
        at = indent if not found or opens_body else indent + deeper
        if not run:
            found.append(Line(at, comment))
            continue
        parts = wrap(run, at, INDENT) if found else wrap(run, at, deeper, _sign(run))
        found += [Line(part.indent, line(part.words)) for part in parts]
        found[-1] = replace(found[-1], comment=comment)
    if len(found) > 1:
        return found
    every = words(statement.lexemes)
    operator = len(line(every[: _sign(every)]))
    return [replace(found[0], operator=operator, family=statement.kind if operator else "")]


def _runs(statement: Statement) -> Iterator[tuple[list[Word], str]]:
    """The words between two comments with the second of them; no words for a comment on a line of its own."""
    every, run = iter(words(statement.lexemes)), list[Word]()
    for lexeme in statement.lexemes:
        if lexeme.kind != COMMENT:
            run.append(next(every))
        elif lexeme.breaks:
            if run:
                yield run, ""
            yield [], lexeme.text
            run = []
        else:
            yield run, lexeme.text
            run = []
    yield run, statement.comment


def _sign(words: Sequence[Word]) -> int:
    """The place of the `=` or `:` between what is named and what it is; 0 where nothing is named."""
    match [words[0].kind, *(word.kind for word in words[2:3])]:
        case ["STEP" | "LEARN", "EQUAL"] | ["RULE", _]:
            sign = "EQUAL"
        case ["LAYERS", _]:
            sign = "COLON"
        case _:
            return 0
    signs = (place for place, word in enumerate(words) if word.kind == sign and word.depth == 0)
    return next(signs, len(words))
