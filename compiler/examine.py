"""examine: check every pattern and plan of files, and collect what is wrong instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..patterns_dsl import syntax
from ..patterns_dsl.binding.idle import idle_rules
from ..patterns_dsl.binding.slips import slips
from ..patterns_dsl.diagnostics import codes
from ..patterns_dsl.diagnostics.diagnostic import Diagnostic, Label, PatternError, Severity
from .pattern import Module, Pattern, Plan, load
from .selection import Reference, UsageError, every, named, parameters, parameters_of_a_plan, settings, title
from .verify.check import check
from .verify.result import Result, Status

# One code per property, so that a code can be looked up, filtered and tested.
CODES: dict[type[syntax.ClaimBase], str] = {
    syntax.Causal: codes.CAUSAL,
    syntax.Nonempty: codes.NONEMPTY,
    syntax.Reach: codes.REACH,
    syntax.PlanReach: codes.REACH,
    syntax.Subset: codes.SUBSET,
    syntax.Equal: codes.EQUAL,
    syntax.Disjoint: codes.DISJOINT,
    syntax.Symmetric: codes.SYMMETRIC,
    syntax.Keys: codes.KEYS,
    syntax.Cache: codes.CACHE,
    syntax.PlanCache: codes.CACHE,
    syntax.Density: codes.DENSITY,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The results of one pattern or plan. ``title`` is its name with its arguments, as in ``fixed(l = 128, c = 8)``."""

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
        for result in self._results():
            if (diagnostic := complaint(result)) is not None:
                yield diagnostic

    def warnings(self) -> Iterator[Diagnostic]:
        """What passes, and is still worth a thought."""
        for result in self._results():
            if (diagnostic := warning(result)) is not None:
                yield diagnostic

    def _results(self) -> Iterator[Result]:
        for finding in self.findings:
            yield from finding.results

    @property
    def passed(self) -> bool:
        """A claim that is not decided has not been proved: it fails, as a refuted one does."""
        return next(self.diagnostics(), None) is None


def complaint(result: Result) -> Diagnostic | None:
    """The diagnostic for a claim that does not hold or is not decided; None for one that holds."""
    help = result.help
    match result.status:
        case Status.PROVED | Status.CHECKED:
            return None
        case Status.REFUTED:
            code, word = CODES[type(result.claim)], "does not hold"
        case Status.UNKNOWN:
            code, word = codes.UNDECIDED, "could not be decided"
            help = help or f"what can be done about it: `patternc check --explain {code}`"
    verdict, why = f"`{result.text}` {word}", result.explanation
    labels: tuple[Label, ...] = ()
    if result.span is not None:  # the fault has a place of its own: it comes first, and what it breaks second
        verdict, why = why, ""
        labels = (Label(result.claim.span, f"`{result.text}` {word}"),)
    notes = (f"witness: {result.witness}",) if result.witness is not None else ()
    return Diagnostic(
        code=code,
        message=verdict,
        span=result.span or result.claim.span,
        severity=Severity.ERROR if result.status is Status.REFUTED else Severity.WARNING,
        notes=(*notes, *why.splitlines()),
        help=(help,) if help else (),
        labels=labels,
        fix=result.fix,
    )


def warning(result: Result) -> Diagnostic | None:
    """The diagnostic for a claim that holds and is still worth a thought."""
    if not result.warning:
        return None
    help = "few layers pass a token on well over many hops: see `patternc check --explain P320`"
    return Diagnostic(codes.MANY_HOPS, result.warning, result.claim.span, Severity.WARNING, help=(help,))


def examine(references: Iterable[str], arguments: Iterable[str]) -> Iterator[FileReport]:
    """The report on each file, as soon as it is known.

    A setting applies to the patterns that have a parameter of its name. Raises UsageError where a reference or a
    setting is malformed or a file has no pattern with such a parameter, OSError where a file cannot be read.
    """
    given = settings(arguments)
    for reference in every(references):
        yield examine_one(reference, given)


def examine_one(reference: Reference, given: Mapping[str, str]) -> FileReport:
    """The report on one file. Raises UsageError, OSError."""
    try:
        module = load(reference.file)
    except PatternError as error:
        return FileReport(reference.file, errors=error.diagnostics)
    return examine_module(module, reference, given)


def examine_module(module: Module, reference: Reference, given: Mapping[str, str]) -> FileReport:
    """The report on a file that was read. Raises UsageError."""
    bound, plans, errors = bind_all(module, reference, given)
    if errors:
        return FileReport(reference.file, errors=errors)
    findings = [Finding(title(pattern.bound), check(pattern)) for pattern in bound]
    findings += [Finding(f"plan {plan.name}", check(plan)) for plan in plans if plan.bound.claims]
    return FileReport(reference.file, tuple(findings))


def bind_all(
    module: Module, reference: Reference, given: Mapping[str, str]
) -> tuple[tuple[Pattern, ...], tuple[Plan, ...], tuple[Diagnostic, ...]]:
    """The patterns, with their settings, and plans of a file that are asked for; and everything that is wrong with
    them and with the rules that none of them uses. Raises UsageError."""
    patterns, plans = named(reference, module)
    _all_known(given, patterns, reference)
    bound, errors = _bound(module, patterns, plans, given, idle=reference.name is None)
    return bound, plans, errors


def _bound(
    module: Module, patterns: Iterable[Pattern], plans: Iterable[Plan], given: Mapping[str, str], *, idle: bool
) -> tuple[tuple[Pattern, ...], tuple[Diagnostic, ...]]:
    """The patterns with their settings, or else everything that is wrong with the patterns, plans and idle rules."""
    bound: list[Pattern] = []
    found: list[Diagnostic] = []
    for pattern in patterns:
        try:
            bound.append(_bind(pattern, given))
        except PatternError as error:
            found += error.diagnostics
    for plan in plans:
        try:
            _ = plan.bound
        except PatternError as error:
            found += error.diagnostics
    if idle:
        found += [*idle_rules(module.tree), *slips(module.tree)]
    return tuple(bound), tuple(dict.fromkeys(found))


def _bind(pattern: Pattern, given: Mapping[str, str]) -> Pattern:
    own = parameters(pattern)
    return pattern.bind(**{name: value for name, value in given.items() if name in own})


def _all_known(given: Mapping[str, str], patterns: Iterable[Pattern], reference: Reference) -> None:
    if given and reference.name is not None and not patterns:
        raise parameters_of_a_plan(given)
    known = frozenset[str]().union(*(parameters(pattern) for pattern in patterns))
    if strange := sorted(given.keys() - known):
        choices = ", ".join(sorted(known)) or "none"
        raise UsageError(f"no pattern of {reference.file} has a parameter {strange[0]!r}; it has {choices}")
