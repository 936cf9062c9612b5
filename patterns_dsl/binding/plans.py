"""Binding of plans: each line with its bound pattern, and the claims about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from .. import syntax
from ..builtin.prelude import prelude
from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Label, PatternError
from ..syntax import Assignment, BoundPattern, BoundPlan, Direction, Module, Plan, PlanClaim
from .bind import Stock, bind_pattern, find_pattern, refusal
from .claims import bind_lengths
from .expand import Expansion
from .scope import Findings, Scope, suggestion

Intervals = tuple[tuple[int, int], ...]


def bind_plan(module: Module, plan_name: str, *, stock: Stock | None = None) -> BoundPlan:
    """A plan with the bound pattern of each line, which is looked up in the module, then in the stock.

    Raises PatternError with every finding of every line.
    """
    plan = next((plan for plan in module.plans if plan.name == plan_name), None)
    if plan is None:
        help = suggestion(plan_name, (plan.name for plan in module.plans))
        raise refusal(codes.UNKNOWN_PATTERN, f"there is no plan `{plan_name}`", module.span, help)
    bound: list[tuple[Assignment, BoundPattern]] = []
    found: list[Diagnostic] = list(_assigned_twice(plan))
    for assignment in plan.assignments:
        call = assignment.pattern
        try:
            pattern, home = find_pattern(module, call.name, stock, call.span)
            outside = Scope((module, prelude()))
            bound.append((assignment, bind_pattern(pattern, home, call.arguments, outside, call.span)))
        except PatternError as error:
            found += [diagnostic for diagnostic in error.diagnostics if diagnostic not in found]
    if found:
        raise PatternError(found)
    claims = _claims(plan, bound)
    return BoundPlan(plan.name, tuple(bound), claims, plan.documentation, span=plan.span)


def _assigned_twice(plan: Plan) -> Sequence[Diagnostic]:
    found = []
    for place, one in enumerate(plan.assignments):
        for two in plan.assignments[place + 1 :]:
            layer, head = _shared(one.layers, two.layers), _shared(one.heads, two.heads)
            if layer is not None and head is not None:
                message = f"layer {layer}, head {head} is assigned twice"
                labels = (Label(one.span, "first here"),)
                help = ("give the layers and heads of each line apart",)
                found.append(Diagnostic(codes.ASSIGNED_TWICE, message, two.span, labels=labels, help=help))
    return found


def _shared(one: Intervals | None, two: Intervals | None) -> int | None:
    """The first number in both; None for "all"."""
    if one is None or two is None:
        return min(low for low, _ in one or two or ((0, 0),))
    starts = [max(a, c) for a, b in one for c, d in two if max(a, c) <= min(b, d)]
    return min(starts, default=None)


def _claims(plan: Plan, bound: Sequence[tuple[Assignment, BoundPattern]]) -> tuple[PlanClaim, ...]:
    """Raises PatternError with every finding."""
    if not plan.claims:
        return ()
    findings = Findings(prelude().span.source)
    directions = {pattern.direction: assignment for assignment, pattern in bound}
    if len(directions) > 1 or Direction.CROSS in directions:
        help = "claims of a plan are about patterns of one direction, which are not `cross`"
        labels = [Label(assignment.span, str(direction)) for direction, assignment in directions.items()]
        message = f"plan `{plan.name}` has patterns of the directions {', '.join(map(str, directions))}"
        findings.report(codes.MIXED_DIRECTIONS, message, plan.claims[0].span, help, labels=labels)
        raise PatternError(findings.diagnostics)
    expansion = Expansion(next(iter(directions)), findings)
    scope = Scope((prelude(),))
    claims = tuple(_claim(claim, plan, scope, expansion) for claim in plan.claims)
    if findings.diagnostics:
        raise PatternError(findings.diagnostics)
    return claims


def _claim(claim: PlanClaim, plan: Plan, scope: Scope, expansion: Expansion) -> PlanClaim:
    at = bind_lengths(claim.at, scope, expansion)
    match claim:
        case syntax.PlanReach(layers):
            if layers is None:
                return replace(claim, at=at)
            number = expansion.positive(layers, "the number of layers", scope)
            depth = layer_count(plan.assignments)
            if depth is not None and number > depth:
                message = f"the plan speaks of the layers 0..{depth - 1}, which are fewer than {number}"
                expansion.findings.report(codes.OUT_OF_RANGE, message, layers.span)
            return replace(claim, at=at, layers=syntax.Integer(number, span=layers.span))
        case syntax.PlanCache(most):
            if expansion.direction is not Direction.CAUSAL:
                message = "a cache is kept while decoding, and only causal patterns decode"
                expansion.findings.report(codes.IDLE_CLAIM, message, claim.span)
            elif layer_count(plan.assignments) is None:
                message = "the cache of `layers all` depends on how many layers the model has"
                expansion.findings.report(
                    codes.IDLE_CLAIM, message, claim.span, "name the layers: `layers 0..29 : ...`"
                )
            return replace(claim, at=at, most=expansion.term(most, scope))
        case _:
            assert_never(claim)


def layer_count(assignments: Sequence[Assignment]) -> int | None:
    """One more than the last layer that is named; None where some line speaks of all layers."""
    last = 0
    for assignment in assignments:
        if assignment.layers is None:
            return None
        last = max(last, *(high for _, high in assignment.layers))
    return last + 1
