"""What hovering tells, from the words of a text and from what was proved and computed about it."""

from __future__ import annotations

from dataclasses import replace

from ...patterns_dsl.diagnostics.source import Span
from ...patterns_dsl.syntax import BoundPattern, BoundPlan
from .buffers import Document
from .declarations import Declaration, Sort
from .hover import about, claims, pattern_facts, verdict
from .positions import Position, Range, offset, range_of
from .reading import read
from .session import Session
from .symbols import Declared, symbol_at
from .verdicts import Subject


async def hover(session: Session, document: Document, place: Position) -> tuple[str, Range] | None:
    """Markdown about the word at a place, and the word's range; with the verdict, inside a claim."""
    where = offset(document.source, place)
    found = symbol_at(session.names(document), where)
    parts: list[str] = []
    span: Span | None = None
    if found is not None:
        symbol, span = found
        parts.append(about(symbol))
        if isinstance(symbol, Declared) and symbol.declaration.sort in (Sort.PATTERN, Sort.PLAN):
            subject = _subject(session, document, symbol.declaration, where)
            parts += [] if subject is None else [await _facts(session, subject)]
    if (claim := _claim(session, document, where)) is not None:
        parts.append(claim[0])
        span = span or claim[1]
    return None if span is None else ("\n\n".join(parts), range_of(span))


async def _facts(session: Session, subject: Subject) -> str:
    results = session.verdicts.of(subject)
    if isinstance(subject, BoundPlan):
        return "\n".join(f"- {line}" for line in claims(subject, results))
    figures, cache = await session.figures(subject)
    return pattern_facts(subject, results, figures, cache)


def _claim(session: Session, document: Document, where: int) -> tuple[str, Span] | None:
    """The verdict on the claim at an offset, and the claim's place."""
    reading = document.reading
    if reading is None or not document.settled:
        return None
    for subject in reading.bound:
        for claim, result in zip(subject.claims, session.verdicts.of(subject), strict=True):
            if claim.span.start <= where <= claim.span.end:
                return f"`{' '.join(claim.span.text.split())}`\n\n{verdict(result)}", claim.span
    return None


def _subject(session: Session, document: Document, named: Declaration, where: int) -> Subject | None:
    """The bound pattern or plan that a name stands for: in a plan's line, with the arguments that it has there."""
    reading = document.reading
    if reading is None or not document.settled:
        return None
    for plan in reading.bound:
        for line, pattern in plan.assignments if isinstance(plan, BoundPlan) else ():
            if line.pattern.span.start <= where <= line.pattern.span.end and pattern.name == named.name:
                return replace(pattern, claims=())  # its claims are proved where it is declared
    other = named.place.source
    home = reading if other == reading.source else read(other, session.buffers.read)
    return next((one for one in home.bound if _matches(one, named)), None)


def _matches(subject: Subject, named: Declaration) -> bool:
    kind = BoundPattern if named.sort is Sort.PATTERN else BoundPlan
    return isinstance(subject, kind) and subject.name == named.name
