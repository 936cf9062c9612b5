"""examine: check every pattern of files, and collect what is wrong with each file instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..patterns_dsl import syntax
from ..patterns_dsl.diagnostic import Diagnostic, PatternError, Severity
from ..patterns_dsl.idle import idle_rules
from .pattern import Module, Pattern, load
from .selection import Reference, UsageError, every, named, parameters, settings, title
from .verify.prove import check
from .verify.result import Result, Status

# One code per property, so that a code can be looked up, filtered and tested.
CODES: dict[type[syntax.ClaimBase], str] = {
    syntax.Causal: "P301",
    syntax.Nonempty: "P302",
    syntax.Reach: "P303",
    syntax.Subset: "P304",
    syntax.Equal: "P305",
}
UNDECIDED = "P310"


@dataclass(frozen=True, slots=True)
class Finding:
    """The results of one pattern. ``title`` is its name with its arguments, as in ``fixed(l = 128, c = 8)``."""

    title: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: either it cannot be used (``errors``) or its patterns were checked."""

    file: str
    findings: tuple[Finding, ...] = ()
    errors: tuple[Diagnostic, ...] = ()

    def diagnostics(self) -> Iterator[Diagnostic]:
        """Everything that keeps this file from passing."""
        yield from self.errors
        for finding in self.findings:
            for result in finding.results:
                if (diagnostic := complaint(result)) is not None:
                    yield diagnostic

    @property
    def passed(self) -> bool:
        """A claim that is not decided has not been proved: it fails, as a refuted one does."""
        return next(self.diagnostics(), None) is None


def complaint(result: Result) -> Diagnostic | None:
    """The diagnostic for a claim that does not hold or is not decided; None for one that holds."""
    match result.status:
        case Status.PROVED | Status.CHECKED:
            return None
        case Status.REFUTED:
            code, word = CODES[type(result.claim)], "does not hold"
        case Status.UNKNOWN:
            code, word = UNDECIDED, "could not be decided"
    verdict, why = f"`{result.text}` {word}", result.explanation
    if result.span is not None:  # the fault has a place of its own: it comes first, and what it breaks second
        verdict, why = why, verdict
    notes = (f"witness: {result.witness}",) if result.witness is not None else ()
    return Diagnostic(
        code=code,
        message=verdict,
        span=result.span or result.claim.span,
        severity=Severity.ERROR if result.status is Status.REFUTED else Severity.WARNING,
        notes=(*notes, *why.splitlines()),
        help=(result.help,) if result.help else (),
    )


def examine(references: Iterable[str], arguments: Iterable[str]) -> Iterator[FileReport]:
    """The report on each file, as soon as it is known.

    A setting applies to the patterns that have a parameter of its name. Raises UsageError where a reference or a
    setting is malformed or a file has no pattern with such a parameter, OSError where a file cannot be read.
    """
    given = settings(arguments)
    for reference in every(references):
        try:
            module = load(reference.file)
            patterns = named(reference, module)
            _all_known(given, patterns, reference)
        except PatternError as error:
            yield FileReport(reference.file, errors=error.diagnostics)
            continue
        bound, errors = _bound(module, patterns, given, with_plans=reference.name is None)
        if errors:
            yield FileReport(reference.file, errors=errors)
            continue
        yield FileReport(reference.file, tuple(Finding(title(pattern.bound), check(pattern)) for pattern in bound))


def _bound(
    module: Module, patterns: Iterable[Pattern], given: Mapping[str, str], *, with_plans: bool
) -> tuple[tuple[Pattern, ...], tuple[Diagnostic, ...]]:
    """The patterns with their settings, or else everything that is wrong with the patterns, plans and idle rules."""
    bound: list[Pattern] = []
    found: list[Diagnostic] = []
    for pattern in patterns:
        try:
            bound.append(_bind(pattern, given))
        except PatternError as error:
            found += error.diagnostics
    if with_plans:
        for plan in module.plans.values():
            try:
                _ = plan.assignments
            except PatternError as error:
                found += error.diagnostics
        found += idle_rules(module.tree)
    return tuple(bound), tuple(dict.fromkeys(found))


def _bind(pattern: Pattern, given: Mapping[str, str]) -> Pattern:
    own = parameters(pattern)
    return pattern.bind(**{name: value for name, value in given.items() if name in own})


def _all_known(given: Mapping[str, str], patterns: Iterable[Pattern], reference: Reference) -> None:
    known = frozenset[str]().union(*(parameters(pattern) for pattern in patterns))
    if strange := sorted(given.keys() - known):
        choices = ", ".join(sorted(known)) or "none"
        raise UsageError(f"no pattern of {reference.file} has a parameter {strange[0]!r}; it has {choices}")
