"""Who runs what: a plan, or one pattern for everything, resolved against the layers of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ....patterns_dsl.syntax import Assignment, Direction, Integration
from ...errors import AttachError, PlanError

if TYPE_CHECKING:
    from ....compiler.pattern import Pattern, Plan

Intervals: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a plan needs to know of a layer."""

    query_heads: int
    causal: bool


@dataclass(frozen=True, slots=True)
class Share:
    """Some query heads of a layer (None: all) and what they run: the union of a pattern's steps, or one step."""

    heads: tuple[int, ...] | None
    pattern: Pattern
    step: int | None


def share_all(pattern: Pattern, shapes: Sequence[Shape]) -> tuple[tuple[Share, ...], ...]:
    """The pattern, its steps merged, in every head of every layer. Raises AttachError for a wrong direction."""
    _check_direction(pattern, range(len(shapes)), shapes)
    return tuple((Share(None, pattern, None),) for _ in shapes)


def share_plan(plan: Plan, shapes: Sequence[Shape]) -> tuple[tuple[Share, ...], ...]:
    """For each layer its shares; an empty tuple leaves the layer dense.

    Of an ``interleaved`` pattern with p steps, layer r of the assignment's layers runs step r mod p; of a pattern by
    ``heads``, head r of the assignment's heads runs step r mod p. Raises PlanError for a layer or a head that is out
    of range, and for an assignment with fewer layers or heads than steps to spread over them. (What is assigned twice
    is refused when the plan is bound.)
    """
    shares: list[list[Share]] = [[] for _ in shapes]
    for number, (assignment, pattern) in enumerate(plan.assignments, start=1):
        where = f"plan {plan.name!r}, assignment {number} ({pattern.name})"
        layers = _expand(assignment.layers, len(shapes), f"{where}: layer", "the model has layers")
        _check_direction(pattern, layers, shapes)
        for position, layer in enumerate(layers):
            count = shapes[layer].query_heads
            heads = _expand(assignment.heads, count, f"{where}: head", f"layer {layer} has heads")
            shares[layer] += _divide(assignment, pattern, position, len(layers), heads, count, where)
    return tuple(tuple(layer) for layer in shares)


def _divide(
    assignment: Assignment, pattern: Pattern, position: int, layers: int, heads: list[int], count: int, where: str
) -> list[Share]:
    """The shares of one layer, the ``position``-th of the assignment."""
    steps = len(pattern.bound.steps)
    everyone = None if len(heads) == count else tuple(heads)
    spread = {Integration.INTERLEAVED: ("layers", layers), Integration.HEADS: ("heads", len(heads))}
    if assignment.integration in spread:
        what, available = spread[assignment.integration]
        if available < steps:
            raise PlanError(
                f"{where}: {steps} steps over {available} {what} would leave a step out;"
                f" assign at least {steps} {what}, or write 'merged'"
            )
    if steps == 1 or assignment.integration is Integration.MERGED:
        return [Share(everyone, pattern, None)]
    if assignment.integration is Integration.INTERLEAVED:
        return [Share(everyone, pattern, position % steps)]
    return [Share(tuple(heads[step::steps]), pattern, step) for step in range(steps)]


def _expand(intervals: Intervals | None, count: int, what: str, has: str) -> list[int]:
    """Sorted distinct members of closed intervals within 0..count-1."""
    if intervals is None:
        return list(range(count))
    members: set[int] = set()
    for low, high in intervals:
        if outside := [end for end in (low, high) if not 0 <= end < count]:
            raise PlanError(f"{what} {outside[0]} is out of range; {has} 0..{count - 1}")
        members.update(range(low, high + 1))
    return sorted(members)


def check_not_cross(pattern: Pattern) -> None:
    """Raises AttachError."""
    if pattern.bound.direction is Direction.CROSS:
        raise AttachError(f"pattern {pattern.name!r} is a cross pattern; a model's self-attention needs another")


def _check_direction(pattern: Pattern, layers: Sequence[int], shapes: Sequence[Shape]) -> None:
    check_not_cross(pattern)
    direction = pattern.bound.direction
    for layer in layers:
        if direction is Direction.BIDIRECTIONAL and shapes[layer].causal:
            raise AttachError(
                f"pattern {pattern.name!r} is bidirectional, but layer {layer} is causal and would see the future;"
                " declare the pattern causal"
            )
