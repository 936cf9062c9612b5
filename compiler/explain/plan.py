"""explain for a plan: its layers, what their caches hold, and how far information travels through them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.syntax import BoundPattern, Direction, Expression, Step
from ..effort import TooLong, allowance
from ..pattern import Plan
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.settle import Extent
from ..selection import title
from ..verify.oracle.plans import hops as first_heard
from ..verify.plan_subject import PlanSubject
from .cost import cost
from .counts import Bound, live_bound
from .hops import LONGEST, Hops, summarise
from .kind import Kind, terms, together

MOST_LAYERS = 64
"""Layers of `layers all` that are looked at."""

_PLACES = 2**28
_OPERATIONS = 3_000_000


@dataclass(frozen=True, slots=True)
class Layers:
    """Layers in a row that run the same; ``cache`` is of one of them, per key head, and None where nothing decodes.

    ``scores``: for each of the patterns the share of a dense kernel's scores that a head computes; None where no engine
    runs it as a program of its own."""

    first: int
    last: int
    patterns: tuple[str, ...]
    kind: Kind
    cache: Bound | None
    scores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """What a token hears of, if the first layer that counts is ``start``."""

    start: int
    hops: Hops | None


@dataclass(frozen=True, slots=True)
class PlanAccount:
    """``depth`` is None for `layers all`; then ``layers`` are those that differ. ``total_cache`` is of all layers
    together at ``length``, per key head."""

    plan: str
    direction: Direction
    depth: int | None
    length: int
    layers: tuple[Layers, ...]
    total_cache: int | None
    phases: tuple[Phase, ...]


def explain_plan(plan: Plan, n: int) -> PlanAccount:
    """Raises PatternError where the plan cannot be bound."""
    subject = PlanSubject(plan.bound)
    count = subject.distinct
    layers = _layers(subject, count, n)
    return PlanAccount(
        plan=plan.name,
        direction=subject.direction,
        depth=subject.depth,
        length=n,
        layers=layers,
        total_cache=_total(layers) if subject.depth is not None else None,
        phases=_phases(subject, n) if subject.direction is not Direction.CROSS else (),
    )


def _layers(subject: PlanSubject, count: int, n: int) -> tuple[Layers, ...]:
    found = []
    for bodies, run in groupby(range(count), key=subject.bodies):
        numbers = list(run)
        kinds = [term.kind for pattern, _ in bodies for term in terms(pattern)]
        cache = None
        if subject.direction is Direction.CAUSAL and bodies:
            cache = live_bound(subject.layer(numbers[0], Extent.MAY), n)
        priced = {title(pattern): _scores(pattern, body, n) for pattern, body in bodies}
        scores = tuple(priced.values())
        found.append(Layers(numbers[0], numbers[-1], tuple(priced), together(kinds), cache, scores))
    return tuple(found)


def _scores(pattern: BoundPattern, body: Expression, n: int) -> float | None:
    """The share of a dense kernel's scores that are computed for ``body``, in the tiles of its program."""
    try:
        found = cost(replace(pattern, steps=(Step(None, body, span=body.span),)), n, head_dim=1)
    except PatternError:
        return None
    return found.tiles / max(1, found.dense_tiles)


def _total(layers: tuple[Layers, ...]) -> int | None:
    total = 0
    for each in layers:
        if each.cache is not None:
            if each.cache.at is None:
                return None
            total += each.cache.at * (each.last - each.first + 1)
    return total


def _phases(subject: PlanSubject, n: int) -> tuple[Phase, ...]:
    """One for each first layer that makes a difference."""
    length, found = min(n, LONGEST), list[Phase]()
    seen: set[tuple[tuple[tuple[BoundPattern, Expression], ...], ...]] = set()
    for start in range(subject.distinct):
        layers = MOST_LAYERS if subject.depth is None else subject.depth - start
        run = tuple(subject.bodies(start + layer) for layer in range(layers))
        if any(run == other[: len(run)] for other in seen):
            continue  # what begins like an earlier phase goes on like it
        seen.add(run)
        try:
            with allowance(_PLACES):
                when = first_heard(subject, length, start, layers, "must")
        except TooLong:
            found.append(Phase(start, None))
            continue
        found.append(Phase(start, summarise(_proved(subject, start, layers), when, subject.direction)))
    return tuple(found)


def _proved(subject: PlanSubject, start: int, layers: int) -> int | None:
    """Layers from ``start`` on that connect every pair at every length, if some do."""
    connected = subject.identity
    try:
        with budget(_OPERATIONS):
            for layer in range(layers):
                connected = (subject.layer(start + layer, Extent.MUST) | subject.identity) @ connected
                if subject.universe <= connected:
                    return layer + 1
    except BudgetExceeded:
        pass
    return None
