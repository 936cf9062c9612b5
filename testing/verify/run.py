"""run: the properties of patterns and plans, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
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

ENGINES: tuple[Property[Any], ...] = (Engine("reference"), Engine("compose"), Engine("triton"))
PATTERN_PROPERTIES: tuple[Property[Any], ...] = (
    ClosedForm(), Lowering(), Batches(), Verdicts(), Drawing(), *ENGINES,
)  # fmt: skip
PLAN_PROPERTIES: tuple[Property[Any], ...] = (Verdicts(),)


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """One pattern or plan. ``title`` is that of ``patternc check``."""

    title: str
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        return not any(outcome.failure for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: either it cannot be used (``errors``), or its patterns and plans were tried."""

    file: str
    subjects: tuple[SubjectReport, ...] = ()
    errors: tuple[Diagnostic, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.errors and all(subject.passed for subject in self.subjects)


@dataclass(frozen=True, slots=True)
class Search:
    """How to look: so many examples of each property for at most so long; the same seed draws the same ones. Parameters
    in ``fixed`` keep their values. ``say`` is told what is tried."""

    examples: int
    seed: int
    seconds: float = math.inf
    fixed: Collection[str] = ()
    say: Callable[[str], None] = lambda step: None

    def __call__(self, subject: Pattern | Plan, properties: Iterable[Property[Any]]) -> SubjectReport:
        name = title(subject.bound) if isinstance(subject, Pattern) else f"plan {subject.name}"
        return SubjectReport(name, tuple(self._outcome(name, subject, prop) for prop in properties))

    def _outcome(self, name: str, subject: Pattern | Plan, prop: Property[Any]) -> Outcome:
        self.say(f"{name}: {prop.name}")
        found = search(prop, subject, fixed=self.fixed, examples=self.examples, seed=self.seed, seconds=self.seconds)
        if found.failure is None:
            return found
        self.say(f"{name}: {prop.name} fails; looking for the smallest pattern that does")
        return replace(found, failure=reduced(prop, found.failure))


def verify(reference: Reference, given: Mapping[str, str], look: Search) -> FileReport:
    """Every property of every pattern and plan of a file. Raises UsageError, OSError."""
    try:
        patterns, plans, errors = bind_all(load(reference.file), reference, given)
    except PatternError as error:
        return FileReport(reference.file, errors=error.diagnostics)
    if errors:
        return FileReport(reference.file, errors=errors)
    look = replace(look, fixed=given.keys())
    subjects = [look(pattern, PATTERN_PROPERTIES) for pattern in patterns]
    return FileReport(reference.file, (*subjects, *(look(plan, PLAN_PROPERTIES) for plan in plans)))


def check_gradients(pattern: Pattern, look: Search) -> SubjectReport:
    """Outputs and gradients of every engine that runs here, with the pattern's own parameters."""
    return replace(look, fixed=dict(pattern.bound.arguments).keys())(pattern, ENGINES)
