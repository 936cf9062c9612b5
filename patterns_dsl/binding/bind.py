"""Binding: a pattern's parameters get values and everything is brought to core form (see ``syntax``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from ...library.catalogue import names as stock_names
from .. import syntax
from ..builtin.prelude import prelude
from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Label, PatternError
from ..diagnostics.source import Span
from ..syntax import Argument, BoundPattern, Module, ParameterType, Pattern, Step
from ..syntax.node import levels
from .claims import bind_claim, contradictions
from .expand import Expansion
from .fold import truth
from .given import Given, from_outside, header
from .learned import bind_selector
from .scope import Closure, Findings, Meaning, Scope, closest, suggestion
from .terms import LENGTHS, BoundAxis, TooLarge

DEEPEST = 150
"""Levels of a bound tree: the passes recurse over it, by a few calls of Python for each level."""

Stock: TypeAlias = Callable[[str], Module | None]
"""Finds the module of a stock pattern by its name."""


def bind(module: Module, name: str, arguments: Mapping[str, Given], *, stock: Stock | None = None) -> BoundPattern:
    """The pattern ``name`` of the module, or else of the stock, with values for its parameters.

    Raises PatternError with every finding: P2xx, see ``codes``.
    """
    pattern, home = find_pattern(module, name, stock, module.span)
    given = from_outside(pattern, arguments)
    return bind_pattern(pattern, home, given, Scope((home, prelude())), header(pattern))


def find_pattern(module: Module, name: str, stock: Stock | None, span: Span) -> tuple[Pattern, Module]:
    """The pattern of this name and the module that it is declared in: this one, an imported one, or the stock's."""
    for pattern in module.patterns:
        if pattern.name == name:
            return pattern, module
    for link in module.links:
        for pattern in link.module.patterns if link.name == name else ():
            if pattern.name == link.original:
                return pattern, link.module
    home = stock(name) if stock else None
    for pattern in home.patterns if home else ():
        if home is not None and pattern.name == name:
            return pattern, home
    known = [pattern.name for pattern in module.patterns] + [link.name for link in module.links]
    if stock is not None:
        known += stock_names()
    help, close = suggestion(name, known), closest(name, known)
    findings = Findings(prelude().span.source)
    fix = close + span.text[len(name) :] if close and span.text.startswith(name) else None
    findings.report(codes.UNKNOWN_PATTERN, f"there is no pattern `{name}`", span, help, fix=fix)
    raise PatternError(findings.diagnostics)


def bind_pattern(
    pattern: Pattern, home: Module, arguments: Sequence[Argument], outside: Scope, span: Span
) -> BoundPattern:
    """``outside`` is the scope that the arguments were written in, ``span`` the place that asks for the pattern."""
    findings = Findings(prelude().span.source)
    scope = Scope((home, prelude()))
    with _raising(findings, pattern):
        _check_names(home, pattern, findings)
        values = _arguments(pattern, arguments, outside, scope, span, findings)
    scope = scope.having(**values)
    expansion = Expansion(pattern.direction, findings)
    with _raising(findings, pattern):
        _check_requirements(pattern, values, scope, expansion, span)
        expansion.axes = _axes(pattern.grid, scope, expansion)
    with _raising(findings, pattern):
        made = [bind_selector(learn, scope, expansion) for learn in pattern.learned]
        selectors = [selector for selector in made if selector is not None]
        scope = scope.having(**{selector.name: selector for selector in selectors})
    with _raising(findings, pattern):
        steps, scope = _bind_steps(pattern, scope, expansion)
        claims = tuple(bind_claim(claim, scope, expansion) for claim in pattern.claims)
        contradictions(claims, findings)
        bound = tuple((name, _value(value, expansion)) for name, value in values.items())
        if max(levels(part) for part in (*steps, *claims)) > DEEPEST:
            raise RecursionError
    return BoundPattern(
        pattern.name,
        pattern.direction,
        bound,
        steps,
        claims,
        pattern.documentation,
        tuple(selectors),
        span=pattern.span,
    )


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


def _arguments(
    pattern: Pattern, arguments: Sequence[Argument], outside: Scope, scope: Scope, span: Span, findings: Findings
) -> dict[str, Meaning]:
    expansion = Expansion(pattern.direction, findings)
    callee = f"pattern `{pattern.name}`"
    values = expansion.passed(callee, pattern.parameters, arguments, outside, scope, span) or {}
    for parameter in pattern.parameters:
        value = values.get(parameter.name)
        if not isinstance(value, syntax.Integer | Closure | syntax.Ratio | None):
            message = f"parameter `{parameter.name}` must be a known number"
            findings.report(codes.NOT_CONSTANT, message, value.span, "a pattern is bound before n is known")
    return values


# --- names, requirements and the grid ---

_Named: TypeAlias = (
    syntax.Rule | Pattern | syntax.Plan | syntax.Parameter | Step | syntax.Learn | syntax.Imported | syntax.Axis
)


def _check_names(home: Module, pattern: Pattern, findings: Findings) -> None:
    imported = [name for each in home.imports for name in each.names]
    relations = [each for each in pattern.parameters if each.type in (ParameterType.SET, ParameterType.RELATION)]
    steps = [step for step in pattern.steps if step.name is not None]
    groups: tuple[Sequence[_Named], ...] = (
        [*imported, *home.rules],
        [*imported, *home.patterns],
        home.plans,
        [*pattern.parameters, *pattern.learned],
        *(rule.parameters for rule in home.rules),
        [*relations, *pattern.learned, *steps],  # or a claim about the step would speak of the parameter
        pattern.grid.axes if pattern.grid else (),
    )
    for group in groups:
        seen: dict[str, Span] = {}
        for node in group:
            name = node.name or ""
            if name in seen:
                labels = (Label(seen[name], "first defined here"),)
                message = f"`{name}` is defined twice"
                findings.report(codes.DUPLICATE_NAME, message, node.span, "give it another name", labels=labels)
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
        here = (f"here {', '.join(shown)}",) if shown else ()
        message = f"pattern `{pattern.name}` requires {text}"
        elsewhere = [] if span == header(pattern) else [Label(span, "asked for here")]
        # Values come from a command line, from Python, or are the defaults: what is bound cannot tell.
        anew = "give other values, by `-p` or in Python by `bind`, or change the defaults"
        help = "pass arguments that fit" if elsewhere else anew
        findings.report(codes.REQUIREMENT, message, requirement.span, help, notes=here, labels=elsewhere)


def _axes(grid: syntax.Grid | None, scope: Scope, expansion: Expansion) -> tuple[BoundAxis, ...]:
    """The axes of a grid with their strides: the last is the fastest, the first runs on with the sequence."""
    axes: list[BoundAxis] = []
    stride = 1
    for axis in reversed(grid.axes if grid else ()):
        first = grid is not None and axis is grid.axes[0]
        if first and axis.extent is not None:
            message = f"the first axis, `{axis.name}`, runs on with the sequence and has no extent"
            help = f"write `{axis.name}` alone"
            expansion.findings.report(codes.COORDINATE, message, axis.span, help, fix=axis.name)
        elif not first and axis.extent is None:
            message = f"axis `{axis.name}` has no extent"
            help = f"write `{axis.name} = 64`: only the first axis runs on with the sequence"
            expansion.findings.report(codes.COORDINATE, message, axis.span, help)
        extent = None
        if not first:
            extent = 1 if axis.extent is None else expansion.positive(axis.extent, f"axis `{axis.name}`", scope)
        axes.insert(0, BoundAxis(axis.name, stride, extent))
        stride *= extent or 1
    return tuple(axes)


# --- steps and values ---


def _bind_steps(pattern: Pattern, scope: Scope, expansion: Expansion) -> tuple[tuple[Step, ...], Scope]:
    """The steps in core form, and the scope with all of them; a step may name the ones before it."""
    steps: list[Step] = []
    for step in pattern.steps:
        steps.append(replace(step, body=expansion.relation(step.body, scope, alone=True)))
        if step.name is not None:
            scope = replace(scope, steps={**scope.steps, step.name: Closure(step.body, scope, relation=True)})
    return tuple(steps), scope


def _value(value: Meaning, expansion: Expansion) -> syntax.Bound:
    match value:
        case syntax.Integer(number):
            return number
        case syntax.Ratio(percent):
            return percent / 100
        case Closure(body, scope, relation=True):
            return replace(expansion.relation(body, scope, alone=True), span=body.span)
        case Closure(body, scope):
            with expansion.variables(scope, "j", span=body.span) as (_, (core,)):
                formula = expansion.contains(body, scope, syntax.Name(core, span=body.span))
            return syntax.Positions(core, formula, span=body.span)
        case _:
            raise AssertionError(value)


def refusal(code: str, message: str, span: Span, *help: str) -> PatternError:
    return PatternError([Diagnostic(code, message, span, help=help)])
