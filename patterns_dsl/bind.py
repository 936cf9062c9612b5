"""Binding: a pattern's parameters get values and everything is brought to core form (see ``syntax``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias, assert_never

from . import codes, syntax
from .diagnostic import Diagnostic, PatternError
from .expand import Expansion
from .fold import truth
from .given import Given, from_outside, header
from .prelude import prelude
from .scope import Closure, Findings, Meaning, Scope, suggestion
from .source import Span
from .syntax import Argument, Assignment, BoundPattern, Claim, Module, Pattern, Step
from .terms import LENGTHS, TooLarge

Stock: TypeAlias = Callable[[str], Module | None]
"""Finds the module of a stock pattern by its name."""


def bind(module: Module, name: str, arguments: Mapping[str, Given], *, stock: Stock | None = None) -> BoundPattern:
    """The pattern ``name`` of the module, or else of the stock, with values for its parameters.

    Raises PatternError with every finding: P2xx, see ``codes``.
    """
    pattern, home = _find(module, name, stock, module.span)
    given = from_outside(pattern, arguments)
    return _bind(pattern, home, given, Scope((home, prelude())), header(pattern))


def bind_plan(
    module: Module, plan_name: str, *, stock: Stock | None = None
) -> tuple[tuple[Assignment, BoundPattern], ...]:
    """The lines of a plan, each with its bound pattern, which is looked up in the module, then in the stock.

    Raises PatternError with every finding of every line.
    """
    plan = next((plan for plan in module.plans if plan.name == plan_name), None)
    if plan is None:
        help = suggestion(plan_name, (plan.name for plan in module.plans))
        raise _error(codes.UNKNOWN_PATTERN, f"there is no plan `{plan_name}`", module.span, help)
    bound: list[tuple[Assignment, BoundPattern]] = []
    found: list[Diagnostic] = []
    for assignment in plan.assignments:
        call = assignment.pattern
        try:
            pattern, home = _find(module, call.name, stock, call.span)
            outside = Scope((module, prelude()))
            bound.append((assignment, _bind(pattern, home, call.arguments, outside, call.span)))
        except PatternError as error:
            found += [diagnostic for diagnostic in error.diagnostics if diagnostic not in found]
    if found:
        raise PatternError(found)
    return tuple(bound)


def _find(module: Module, name: str, stock: Stock | None, span: Span) -> tuple[Pattern, Module]:
    for place in (module, stock(name) if stock else None):
        for pattern in place.patterns if place else ():
            if place is not None and pattern.name == name:
                return pattern, place
    help = suggestion(name, (pattern.name for pattern in module.patterns))
    raise _error(codes.UNKNOWN_PATTERN, f"there is no pattern `{name}`", span, help)


def _bind(pattern: Pattern, home: Module, arguments: Sequence[Argument], outside: Scope, span: Span) -> BoundPattern:
    """``outside`` is the scope that the arguments were written in, ``span`` the place that asks for the pattern."""
    findings = Findings(prelude().span.source)
    expansion = Expansion(pattern.direction, findings)
    scope = Scope((home, prelude()))
    with _raising(findings, pattern):
        _check_names(home, pattern, findings)
        callee = f"pattern `{pattern.name}`"
        values = expansion.passed(callee, pattern.parameters, arguments, outside, scope, span) or {}
        for parameter in pattern.parameters:
            value = values.get(parameter.name)
            if not isinstance(value, syntax.Integer | Closure | syntax.Ratio | None):
                message = f"parameter `{parameter.name}` must be a known number"
                findings.report(codes.NOT_CONSTANT, message, value.span, "a pattern is bound before n is known")
    scope = scope.having(**values)
    with _raising(findings, pattern):
        _check_requirements(pattern, values, scope, expansion, span)
    with _raising(findings, pattern):
        steps, scope = _bind_steps(pattern, scope, expansion)
        claims = tuple(_bind_claim(claim, scope, expansion) for claim in pattern.claims)
        bound = tuple((name, _value(value, expansion)) for name, value in values.items())
    return BoundPattern(pattern.name, pattern.direction, bound, steps, claims, pattern.documentation, span=pattern.span)


@contextmanager
def _raising(findings: Findings, pattern: Pattern) -> Iterator[None]:
    """Ends a phase: what it found is raised together."""
    try:
        yield
    except TooLarge:
        pass
    except RecursionError:
        message = f"pattern `{pattern.name}` is nested too deeply"
        findings.report(codes.NESTING, message, header(pattern), "rules that call rules add up")
    if findings.diagnostics:
        raise PatternError(findings.diagnostics)


# --- names and requirements ---

_Named: TypeAlias = syntax.Rule | Pattern | syntax.Plan | syntax.Parameter | Step


def _check_names(home: Module, pattern: Pattern, findings: Findings) -> None:
    groups: tuple[Sequence[_Named], ...] = (
        home.rules,
        home.patterns,
        home.plans,
        pattern.parameters,
        *(rule.parameters for rule in home.rules),
        [step for step in pattern.steps if step.name is not None],
    )
    for group in groups:
        seen: dict[str, Span] = {}
        for node in group:
            name = node.name or ""
            if name in seen:
                notes = (f"first defined in line {seen[name].line}",)
                message = f"`{name}` is defined twice"
                findings.report(codes.DUPLICATE_NAME, message, node.span, "give it another name", notes=notes)
            seen.setdefault(name, node.span)
            if name in LENGTHS:
                message = f"`{name}` is the length of the sequence and cannot be defined"
                findings.report(codes.RESERVED_NAME, message, node.span, "give it another name")


def _check_requirements(
    pattern: Pattern, values: Mapping[str, Meaning], scope: Scope, expansion: Expansion, span: Span
) -> None:
    findings = expansion.findings
    for requirement in pattern.requirements:
        before = len(findings.diagnostics)
        holds = truth(expansion.formula(requirement, scope))
        if len(findings.diagnostics) > before or holds:
            continue
        text = requirement.span.text
        if holds is None:
            message = "a requirement speaks of parameters only"
            findings.report(codes.NOT_CONSTANT, message, requirement.span, "it is checked before n is known")
            continue
        shown = [
            f"{name} = {value.value}"
            for name, value in values.items()
            if isinstance(value, syntax.Integer) and re.search(rf"\b{name}\b", text)
        ]
        asked = () if span.source is pattern.span.source else (f"asked for by `{span.text}`",)
        here = (f"here {', '.join(shown)}",) if shown else ()
        message = f"pattern `{pattern.name}` requires {text}"
        findings.report(codes.REQUIREMENT, message, requirement.span, notes=(*here, *asked))


# --- steps and claims ---


def _bind_steps(pattern: Pattern, scope: Scope, expansion: Expansion) -> tuple[tuple[Step, ...], Scope]:
    """The steps in core form, and the scope with all of them; a step may name the ones before it."""
    steps: list[Step] = []
    for step in pattern.steps:
        steps.append(replace(step, body=expansion.relation(step.body, scope)))
        if step.name is not None:
            scope = replace(scope, steps={**scope.steps, step.name: Closure(step.body, scope)})
    return tuple(steps), scope


def _bind_claim(claim: Claim, scope: Scope, expansion: Expansion) -> Claim:
    at = None if claim.at is None else _positive(claim.at, "the stated length", scope, expansion)
    match claim:
        case syntax.Nonempty() | syntax.Causal():
            return replace(claim, at=at)
        case syntax.Reach(steps):
            expansion.refuse_hops("`reach`", claim.span)
            number = None if steps is None else _positive(steps, "the number of steps", scope, expansion)
            return replace(claim, at=at, steps=number)
        case syntax.Subset(left, right):
            return replace(claim, at=at, left=expansion.relation(left, scope), right=expansion.relation(right, scope))
        case syntax.Equal(left, right):
            return replace(claim, at=at, left=expansion.relation(left, scope), right=expansion.relation(right, scope))
        case _:
            assert_never(claim)


def _positive(term: syntax.Term, what: str, scope: Scope, expansion: Expansion) -> syntax.Integer:
    value = expansion.constant(term, scope, what)
    if value is not None and value < 1:
        expansion.findings.report(codes.OUT_OF_RANGE, f"{what} must be at least 1, and is {value}", term.span)
    return syntax.Integer(value or 1, span=term.span)


# --- values ---


def _value(value: Meaning, expansion: Expansion) -> syntax.Bound:
    match value:
        case syntax.Integer(number):
            return number
        case syntax.Ratio(percent):
            return percent / 100
        case Closure(body, scope):
            with expansion.variables(scope, "j", span=body.span) as (_, (core,)):
                formula = expansion.contains(body, scope, syntax.Name(core, span=body.span))
            return syntax.Positions(core, formula, span=body.span)
        case _:
            raise AssertionError(value)


def _error(code: str, message: str, span: Span, *help: str) -> PatternError:
    return PatternError([Diagnostic(code, message, span, help=help)])
