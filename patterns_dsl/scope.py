"""What names mean at a place of a file, and where a finding inside an expanded rule is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TypeAlias

from .diagnostic import Diagnostic
from .source import Source, Span
from .syntax import Expression, Module, Ratio, Rule, Term


@dataclass(frozen=True, slots=True)
class Closure:
    """A relation or a set of positions together with the scope that its text was written in."""

    body: Expression
    scope: Scope


Meaning: TypeAlias = Term | Closure | Ratio
"""What a name can stand for: a number, a set of positions (never a relation), a ratio."""


@dataclass(frozen=True, slots=True)
class Scope:
    """``values``: parameters and variables, as core terms. ``steps``: those of the pattern that are known here.
    ``modules``: where rules are looked up, the file itself first, then the prelude."""

    modules: tuple[Module, ...]
    values: Mapping[str, Meaning] = field(default_factory=dict)
    steps: Mapping[str, Closure] = field(default_factory=dict)

    def rule(self, name: str) -> tuple[Rule, Scope] | None:
        """The rule of this name and the scope of its body, still without its parameters."""
        for place, module in enumerate(self.modules):
            for rule in module.rules:
                if rule.name == name:
                    return rule, Scope(self.modules[place:])
        return None

    def having(self, **values: Meaning) -> Scope:
        return replace(self, values={**self.values, **values})

    @property
    def relation_names(self) -> set[str]:
        """Everything that a relation or a set can be called here."""
        rules = {rule.name for module in self.modules for rule in module.rules}
        return rules | set(self.steps) | {name for name, value in self.values.items() if isinstance(value, Closure)}


@dataclass(frozen=True, slots=True)
class Frame:
    """A rule or step under expansion and the call that asked for it."""

    name: str
    span: Span
    body: Expression
    values: Mapping[str, Meaning] = field(default_factory=dict)


class Findings:
    """The diagnostics of one binding. A finding in the text of the prelude is shown at the user's call instead."""

    def __init__(self, built_in: Source) -> None:
        self.built_in = built_in
        self.frames: list[Frame] = []
        self.diagnostics: list[Diagnostic] = []
        self._seen: set[tuple[str, Span]] = set()

    def report(self, code: str, message: str, span: Span, *help: str, notes: Iterable[str] = ()) -> None:
        """Adds a finding; one that was reported at the same place before is the same finding."""
        notes = tuple(notes)
        for frame in reversed(self.frames):
            if span.source is not self.built_in:
                break
            numbers = [f"{name} = {value.span.text}" for name, value in frame.values.items() if hasattr(value, "span")]
            where = f", where {', '.join(numbers)}" if numbers else ""
            notes = (*notes, f"in rule `{frame.name}`: {frame.body.span.text}{where}")
            span = frame.span
        if (code, span) not in self._seen:
            self._seen.add((code, span))
            self.diagnostics.append(Diagnostic(code, message, span, notes=notes, help=help))

    @contextmanager
    def inside(self, frame: Frame) -> Iterator[None]:
        """While the body of a rule or step is expanded."""
        self.frames.append(frame)
        try:
            yield
        finally:
            self.frames.pop()

    def shown(self, span: Span) -> Span:
        """Where a finding at ``span`` is reported: never in the prelude."""
        calls = (frame.span for frame in reversed(self.frames) if frame.span.source is not self.built_in)
        return span if span.source is not self.built_in else next(calls, span)

    def place(self, span: Span) -> Span:
        """Where the user asked for what is being expanded: the outermost call, or the text itself."""
        return self.frames[0].span if self.frames else span


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean `local`?``, or the names there are."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(names)}" if names else "no name is known here"
