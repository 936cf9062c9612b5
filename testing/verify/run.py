"""run: every property of every pattern and plan of a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...compiler.examine import bind_all
from ...compiler.pattern import Pattern, Plan, load
from ...compiler.selection import Reference, title
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from .batches import Batches
from .closed_form import ClosedForm
from .drawing import Drawing
from .engines import Engine
from .program import Lowering
from .property import Property
from .reduce import reduced
from .search import Outcome, search
from .verdicts import Verdicts

PATTERN_PROPERTIES: tuple[Property[Any], ...] = (
    ClosedForm(),
    Lowering(),
    Batches(),
    Verdicts(),
    Drawing(),
    Engine("reference"),
    Engine("compose"),
    Engine("triton"),
)
PLAN_PROPERTIES: tuple[Property[Any], ...] = (Verdicts(),)


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """One pattern or plan. ``title`` is that of ``patternc check``."""

    title: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: either it cannot be used (``errors``), or its patterns and plans were tried."""

    file: str
    subjects: tuple[SubjectReport, ...] = ()
    errors: tuple[Diagnostic, ...] = ()

    @property
    def passed(self) -> bool:
        failed = any(outcome.failure for subject in self.subjects for outcome in subject.outcomes)
        return not self.errors and not failed


def verify(
    reference: Reference,
    given: Mapping[str, str],
    *,
    examples: int,
    seed: int,
    seconds: float = math.inf,
    say: Callable[[str], None] = lambda step: None,
) -> FileReport:
    """The report on one file. ``seconds`` bounds each property; ``say`` is told what is tried. Raises UsageError,
    OSError."""
    try:
        patterns, plans, errors = bind_all(load(reference.file), reference, given)
    except PatternError as error:
        return FileReport(reference.file, errors=error.diagnostics)
    if errors:
        return FileReport(reference.file, errors=errors)
    subjects: tuple[Pattern | Plan, ...] = (*patterns, *plans)
    found = []
    for subject in subjects:
        name = title(subject.bound) if isinstance(subject, Pattern) else f"plan {subject.name}"
        properties = PATTERN_PROPERTIES if isinstance(subject, Pattern) else PLAN_PROPERTIES
        outcomes = []
        for prop in properties:
            say(f"{name}: {prop.name}")
            outcome = search(prop, subject, fixed=given.keys(), examples=examples, seed=seed, seconds=seconds)
            if outcome.failure is not None:
                say(f"{name}: {prop.name} fails; looking for the smallest pattern that does")
                outcome = replace(outcome, failure=reduced(prop, outcome.failure))
            outcomes.append(outcome)
        found.append(SubjectReport(name, tuple(outcomes)))
    return FileReport(reference.file, tuple(found))
