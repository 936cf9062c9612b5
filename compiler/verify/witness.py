"""Witnesses in words: which path breaks, and what would mend it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...patterns_dsl.source import Span
from ...patterns_dsl.syntax import Causal, Claim, Direction, Equal, Nonempty, Reach, Step, Subset
from ..bruteforce import Mask
from ..effort import TooLong
from ..relations.presburger import BudgetExceeded, budget
from ..relations.relation import Relation
from . import oracle, reach
from .result import Witness
from .subject import Subject

if TYPE_CHECKING:
    import networkx as nx

MOST_HOPS = 5
"""Of a longer path the first and the last two hops are named."""

ROWS_SHOWN = 1024
"""So many queries after an empty one are looked at to say where the run of empty ones ends."""

MOST_EXTRA_STEPS = 2
"""A repair that takes more steps than this beyond the claimed ones is not offered."""


def explain(claim: Claim, subject: Subject, found: Witness) -> str:
    """What the violation shows."""
    match claim:
        case Nonempty():
            return _empty_rows(subject, found)
        case Causal():
            return f"query {found.query} attends to the later key {found.key}"
        case Reach():
            try:
                return _broken_path(claim, subject, found)
            except TooLong:
                return f"{found.query} does not hear of {found.key}"
        case Subset() | Equal():
            where = "left" if _on_left(claim, subject, found) else "right"
            return f"the pair ({found.query}, {found.key}) is on the {where} side only"


def _on_left(claim: Subset | Equal, subject: Subject, found: Witness) -> bool:
    assert found.key is not None
    place = oracle.mask(subject.pattern, claim.left, found.n, found.keys, queries=[found.query], keys=[found.key])
    return bool(place.any())


def fault(claim: Claim, subject: Subject, found: Witness) -> Span | None:
    """The place that the witness points at, where it is not the claim: the step in which a query has no key."""
    return _empty_step(subject, found).body.span if isinstance(claim, Nonempty) else None


def _empty_step(subject: Subject, found: Witness) -> Step:
    for step in subject.pattern.steps:
        if not oracle.mask(subject.pattern, step.body, found.n, found.keys, queries=[found.query]).any():
            return step
    raise AssertionError("the witness was confirmed")


def _empty_rows(subject: Subject, found: Witness) -> str:
    """The run of queries without a key that the witness begins, as far as it shows at a somewhat greater length."""
    step = _empty_step(subject, found)
    last = found.query
    if found.keys is None:
        rows = range(found.query, found.query + ROWS_SHOWN)
        try:
            mask = oracle.mask(subject.pattern, step.body, found.n + ROWS_SHOWN, queries=list(rows))
        except TooLong:
            mask = None
        while mask is not None and last + 1 < rows.stop and not mask[last + 1 - found.query].any():
            last += 1
    which = f"query {last} attends" if last == found.query else f"queries {found.query}..{last} attend"
    return f"{which} to no key" + (f" in step {step.name}" if step.name else "")


def _broken_path(claim: Reach, subject: Subject, found: Witness) -> str:
    """Follow key j forward, layer by layer, to the token nearest to query i that hears of it."""
    assert found.key is not None
    masks = oracle.step_masks(subject.pattern, found.n)
    count = reach.count(claim)
    layers = count if count is not None else found.n * len(masks)
    graph = _information_flow(masks, found.key, layers)
    heard = sorted({token for token, _ in graph})
    nearest = min(heard, key=lambda token: (abs(token - found.query), token))
    if nearest == found.key:
        return f"no later token hears of {found.key}" if found.key < found.query else f"no token hears of {found.key}"
    arrival = min(layer for token, layer in graph if token == nearest)
    import networkx as nx

    path = nx.shortest_path(graph, (found.key, 0), (nearest, arrival))
    hops = [(a, b, layer) for (a, _), (b, layer) in pairwise(path) if a != b]
    words = [f"{a} reaches {b} at step {layer}" for a, b, layer in hops]
    told = ", ".join([*words[:2], "...", *words[-2:]] if len(words) > MOST_HOPS else words)
    return f"{told}; nothing carries it on to {found.query}"


def _information_flow(masks: list[Mask], source: int, layers: int) -> nx.DiGraph:
    """Nodes (token, layer): the tokens that have heard of ``source`` after that many layers, with how they did."""
    import networkx as nx  # a tenth of a second: only a refutation pays for it

    graph = nx.DiGraph()
    graph.add_node((source, 0))
    heard, idle = {source}, 0
    for layer in range(1, layers + 1):
        mask = masks[(layer - 1) % len(masks)]
        fresh = {int(query): key for key in heard for query in np.flatnonzero(mask[:, key]) if query not in heard}
        graph.add_edges_from(((token, layer - 1), (token, layer)) for token in heard)
        graph.add_edges_from(((key, layer - 1), (query, layer)) for query, key in fresh.items())
        idle = 0 if fresh else idle + 1
        if idle == len(masks):
            break
        heard |= set(fresh)
    return graph


def repair(claim: Claim, subject: Subject) -> str:
    """A change that was checked to make the claim true, or an empty string where none was found."""
    match claim:
        case Nonempty():
            # True whatever the pattern: each token is its own key, and where there are keys there is a first.
            return "add `| columns(first(1))`" if subject.direction is Direction.CROSS else "add `| self`"
        case Causal():
            return (
                ""
                if subject.direction is Direction.CROSS
                else "declare the pattern `causal`: every rule is then meant within j <= i"
            )
        case Reach(_, False):
            return _reach_repair(claim, subject)
        case Reach() | Subset() | Equal():
            return ""


def _reach_repair(claim: Reach, subject: Subject) -> str:
    """More steps, or one neighbour more in every step."""
    claimed = reach.count(claim) or 0
    neighbour = Relation.parse("-1 <= v_i - v_j and v_i - v_j <= 1", subject.direction)
    wider = tuple(step | neighbour for step in subject.steps)
    try:
        with budget():
            for count in range(claimed + 1, claimed + len(subject.steps) + 1):
                if subject.universe <= reach.reached(subject, count):
                    return f"it holds in {count} steps"
            for count in range(max(claimed, 1), claimed + MOST_EXTRA_STEPS + 1):
                if subject.universe <= reach.reached(subject, count, wider):
                    return f"add `| local(2)` to every step: it then holds in {count} steps"
    except BudgetExceeded:
        pass
    return ""
