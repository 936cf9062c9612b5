"""What names mean at a place of a file, and where a finding inside an expanded rule is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TypeAlias

from ..diagnostics.diagnostic import Diagnostic, Fix, Label
from ..diagnostics.source import Source, Span
from ..syntax import Call, Expression, Module, Ratio, Rule, Selector, Term


@dataclass(frozen=True, slots=True)
class Closure:
    """A set of positions, or a relation, together with the scope that its text was written in."""

    body: Expression
    scope: Scope
    relation: bool = False


Meaning: TypeAlias = Term | Closure | Ratio | Selector
"""What a name can stand for: a number, a set of positions or a relation, a ratio, a learned selection."""


@dataclass(frozen=True, slots=True)
class Scope:
    """``values``: parameters, selections and variables, as core terms. ``steps``: those of the pattern that are known
    here. ``modules``: where rules are looked up, the file itself first, then the prelude."""

    modules: tuple[Module, ...]
    values: Mapping[str, Meaning] = field(default_factory=dict)
    steps: Mapping[str, Closure] = field(default_factory=dict)

    def rule(self, name: str) -> tuple[Rule, Scope] | None:
        """The rule of this name and the scope of its body, still without its parameters."""
        for place, module in enumerate(self.modules):
            for rule in module.rules:
                if rule.name == name:
                    return rule, Scope(self.modules[place:])
            for link in module.links:
                if link.name == name:
                    for rule in link.module.rules:
                        if rule.name == link.original:
                            return rule, Scope((link.module, *self.modules[place + 1 :]))
        return None

    def having(self, /, **values: Meaning) -> Scope:
        return replace(self, values={**self.values, **values})

    @property
    def relation_names(self) -> set[str]:
        """Everything that a relation or a set can be called here."""
        rules = {rule.name for module in self.modules for rule in module.rules}
        links = {link.name for module in self.modules for link in module.links}
        sets = {name for name, value in self.values.items() if isinstance(value, Closure | Selector)}
        return rules | links | set(self.steps) | sets


@dataclass(frozen=True, slots=True)
class Frame:
    """A rule or step under expansion and the call that asked for it."""

    call: Call
    body: Expression
    values: Mapping[str, Meaning] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.call.name

    @property
    def span(self) -> Span:
        return self.call.span


class Findings:
    """The diagnostics of one binding. A finding in the text of the prelude is shown at the user's call instead."""

    def __init__(self, built_in: Source) -> None:
        self.built_in = built_in
        self.frames: list[Frame] = []
        self.diagnostics: list[Diagnostic] = []
        self._seen: set[tuple[str, Span]] = set()

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        *help: str,
        notes: Iterable[str] = (),
        labels: Iterable[Label] = (),
        fix: str | None = None,
    ) -> None:
        """Adds a finding; one that was reported at the same place before is the same finding. ``fix`` is what the
        text of the span should be, where that is known."""
        notes, labels = tuple(notes), tuple(labels)
        for frame in reversed(self.frames):
            if span.source is self.built_in:
                numbers = [
                    f"{name} = {value.body.span.text if isinstance(value, Closure) else value.span.text}"
                    for name, value in frame.values.items()
                ]
                where = f", where {', '.join(numbers)}" if numbers else ""
                notes = (*notes, f"in rule `{frame.name}`: {frame.body.span.text}{where}")
                span, fix = frame.span, None
            elif span.source is not frame.span.source:
                labels = (*labels, Label(frame.span, f"asked for by `{frame.name}`"))
        if (code, span) not in self._seen:
            self._seen.add((code, span))
            mended = None if fix is None else Fix(f"replace it with `{fix}`", span, fix)
            self.diagnostics.append(Diagnostic(code, message, span, notes=notes, help=help, labels=labels, fix=mended))

    def unknown(self, code: str, message: str, name: str, known: Iterable[str], span: Span, *help: str) -> None:
        """An unknown name: says which one was meant, and offers to write it, where one is close."""
        close = closest(name, known)
        fix = None
        if close is not None and span.text.startswith(name):
            fix = close + span.text[len(name) :]
        self.report(code, message, span, *(help or (suggestion(name, known),)), fix=fix)

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


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    return next(iter(get_close_matches(name, sorted(known), n=1)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean `local`?``, or the names there are."""
    names = sorted(known)
    close = closest(name, names)
    if close is not None:
        return f"did you mean `{close}`?"
    return f"known here: {', '.join(names)}" if names else "no name is known here"
