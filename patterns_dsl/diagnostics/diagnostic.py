"""Diagnostics as values: what is wrong, where, what else has to do with it, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .render import Mark, Style, excerpt, plain, shortened
from .source import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """Another place that has to do with a finding, and what it is to it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit that mends a finding: the characters of ``span`` become ``replacement``."""

    title: str
    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. ``code`` is stable: P1xx syntax, P2xx names and parameters, P3xx proofs, P4xx lowering."""

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    fix: Fix | None = None

    def render(self, style: Style = plain) -> str:
        """The finding as text with the offending lines and carets, in the shape of rustc's messages."""
        marks = [Mark(self.span, "^", ""), *(Mark(label.span, "-", label.text) for label in self.labels)]
        lines, gutter = excerpt(marks, style)
        rows = [
            style(f"{self.severity}[{self.code}]", str(self.severity)) + f": {shortened(self.message)}",
            *lines,
            *(f"{gutter} = {shortened(note)}" for note in self.notes),
            *(f"{gutter} = help: {shortened(help)}" for help in self.help),
        ]
        return "\n".join(row.rstrip() for row in rows)


class PatternError(Exception):
    """A pattern text that cannot be used. Carries every diagnostic of the phase that found it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n\n".join(diagnostic.render() for diagnostic in self.diagnostics))
