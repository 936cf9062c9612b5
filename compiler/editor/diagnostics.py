"""Diagnostics as an editor shows them: a range, one message with its notes and help, related places, and edits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, Severity
from ...patterns_dsl.diagnostics.source import Source, Span
from ..examine import complaint, warning
from ..verify.result import Result
from .files import home, page
from .positions import Range, range_of


@dataclass(frozen=True, slots=True)
class Related:
    """A place that has to do with a finding; ``file`` is None for the text itself."""

    file: Path | None
    range: Range
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the text itself: what stands in the range becomes ``replacement``."""

    title: str
    range: Range
    replacement: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic of a text. ``page`` explains its code; None where the pages are not installed."""

    code: str
    severity: Severity
    range: Range
    message: str
    page: Path | None
    related: tuple[Related, ...] = ()
    edit: Edit | None = None


def finding(diagnostic: Diagnostic, source: Source) -> Finding:
    """A diagnostic whose place is in the text ``source``."""
    fix = diagnostic.fix
    inside = fix is not None and fix.span.source == source
    return Finding(
        diagnostic.code,
        diagnostic.severity,
        range_of(_visible(diagnostic.span)),
        "\n".join([diagnostic.message, *diagnostic.notes, *(f"help: {help}" for help in diagnostic.help)]),
        page(diagnostic.code),
        tuple(_related(diagnostic, source)),
        Edit(fix.title, range_of(fix.span), fix.replacement) if fix is not None and inside else None,
    )


def findings(diagnostics: Iterable[Diagnostic], results: Iterable[Result], source: Source) -> tuple[Finding, ...]:
    """What is wrong with a text: its mistakes, and the claims that do not hold, are not decided, or give to think."""
    proofs = (one for result in results for one in (complaint(result), warning(result)) if one is not None)
    return tuple(finding(one, source) for one in (*diagnostics, *proofs))


def actions(found: Iterable[Finding], where: Range) -> tuple[tuple[Finding, Edit], ...]:
    """The findings at a place that an edit mends, each with its edit."""
    return tuple((one, one.edit) for one in found if one.edit is not None and one.range.touches(where))


def _related(diagnostic: Diagnostic, source: Source) -> Iterator[Related]:
    for label in diagnostic.labels:
        here = label.span.source == source
        file = None if here else home(label.span.source)
        if here or file is not None:
            yield Related(file, range_of(label.span), label.text)


def _visible(span: Span) -> Span:
    """A place without characters, widened to one: editors underline nothing else."""
    if span.start < span.end:
        return span
    text = span.source.text
    if span.start < len(text) and text[span.start] != "\n":
        return Span(span.source, span.start, span.start + 1)
    return Span(span.source, max(0, span.start - 1), span.start)
