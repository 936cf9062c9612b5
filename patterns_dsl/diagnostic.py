"""Diagnostics as values: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .source import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. ``code`` is stable: P1xx syntax, P2xx names and parameters, P3xx proofs, P4xx lowering."""

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()

    def render(self) -> str:
        """The finding as text with the offending line and a caret, in the shape of rustc's messages."""
        line, column = self.span.line, self.span.column
        quoted = self.span.source.line(line)
        width = max(1, min(self.span.end - self.span.start, len(quoted) - column + 1))
        gutter = " " * len(str(line))
        # Tabs in the quoted line are kept in the padding, so that the caret stays under its character.
        padding = "".join("\t" if char == "\t" else " " for char in quoted[: column - 1])
        rows = [
            f"{self.severity}[{self.code}]: {self.message}",
            f"{gutter}--> {self.span.source.name}:{line}:{column}",
            f"{gutter} |",
            f"{line} | {''.join(char if char.isprintable() or char == chr(9) else ' ' for char in quoted)}",
            f"{gutter} | {padding}{'^' * width}",
            *(f"{gutter} = {note}" for note in self.notes),
            *(f"{gutter} = help: {help}" for help in self.help),
        ]
        return "\n".join(row.rstrip() for row in rows)


class PatternError(Exception):
    """A pattern text that cannot be used. Carries every diagnostic of the phase that found it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n\n".join(diagnostic.render() for diagnostic in self.diagnostics))
