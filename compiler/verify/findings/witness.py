"""Witnesses in words: what a violation shows, and where its fault lies."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, assert_never

import numpy as np

from ....patterns_dsl import syntax
from ....patterns_dsl.diagnostics.source import Span
from ....patterns_dsl.syntax import Claim, Step
from ...bruteforce import Mask
from ...effort import TooLong
from .. import realise
from ..oracle import claims as oracle
from ..oracle.bounds import value
from ..oracle.hearing import failing_order
from ..properties import reach
from ..realise import Realised
from ..subject import Subject

if TYPE_CHECKING:
    import networkx as nx

MOST_HOPS = 5
"""Of a longer path the first and the last two hops are named."""

ROWS_SHOWN = 1024
"""So many queries after an empty one are looked at to say where the run of empty ones ends."""


def explain(claim: Claim, subject: Subject, real: Realised) -> str:
    """What the violation shows, with the choice under which it occurs; the choice alone where the rest takes too long
    to find out."""
    try:
        what = _what(claim, subject, real)
    except TooLong:
        what = ""
    return " ".join(filter(None, [what, real.words]))


def _what(claim: Claim, subject: Subject, real: Realised) -> str:
    found, pattern = real.found, subject.pattern
    match claim:
        case syntax.Nonempty():
            return _empty_rows(subject, real)
        case syntax.Causal():
            return f"query {found.query} attends to the later key {found.key}"
        case syntax.Symmetric():
            return f"query {found.query} attends to key {found.key}, but not the other way round"
        case syntax.Reach():
            return _broken_path(claim, subject, real)
        case syntax.Subset() | syntax.Equal():
            where = "left" if _on_left(claim, subject, real) else "right"
            return f"the pair ({found.query}, {found.key}) is on the {where} side only"
        case syntax.Disjoint():
            return f"the pair ({found.query}, {found.key}) is in both"
        case syntax.Keys(most):
            assert found.query is not None
            counted = oracle.key_counts(pattern, found.n, found.keys, choice=real.choice, queries=[found.query])[0]
            return f"query {found.query} attends to {counted} keys; the claim allows {value(most, found.n, found.keys)}"
        case syntax.Cache(most):
            live = oracle.live_counts(pattern, found.n, choice=real.choice)[found.query]
            return f"at query {found.query}, {live} keys can still be read; the claim allows {value(most, found.n)}"
        case syntax.Density():
            return f"{oracle.density(pattern, found.n, found.keys, real.choice):.2%} of the pairs attend"
        case _:
            assert_never(claim)


def fault(claim: Claim, subject: Subject, real: Realised) -> Span | None:
    """The place that the witness points at, where it is not the claim: the step in which a query has no key."""
    if not isinstance(claim, syntax.Nonempty):
        return None
    step = _empty_step(subject, real)
    return None if step is None else step.body.span


def empty_steps(subject: Subject, real: Realised) -> list[Step]:
    """The steps in which the query of the witness attends to no key. Raises TooLong."""
    found = real.found
    return [
        step
        for step in subject.pattern.steps
        if not oracle.mask(
            subject.pattern, step.body, found.n, found.keys, queries=[found.query or 0], choice=real.choice
        ).any()
    ]


def _empty_step(subject: Subject, real: Realised) -> Step | None:
    """A step in which the query has no key: there is one, since the witness was confirmed. None where finding out
    which takes too long."""
    try:
        return empty_steps(subject, real)[0]
    except TooLong:
        return None


def _empty_rows(subject: Subject, real: Realised) -> str:
    """The run of queries without a key that the witness begins, as far as it shows at a somewhat greater length."""
    step, found = empty_steps(subject, real)[0], real.found
    assert found.query is not None
    last = found.query
    if found.keys is None:
        rows = range(found.query, found.query + ROWS_SHOWN)
        try:
            mask = oracle.mask(subject.pattern, step.body, found.n + ROWS_SHOWN, queries=list(rows), choice=real.choice)
        except TooLong:
            mask = None
        while mask is not None and last + 1 < rows.stop and not mask[last + 1 - found.query].any():
            last += 1
    which = f"query {last} attends" if last == found.query else f"queries {found.query}..{last} attend"
    return f"{which} to no key" + (f" in step {step.name}" if step.name else "")


def _on_left(claim: syntax.Subset | syntax.Equal, subject: Subject, real: Realised) -> bool:
    found = real.found
    assert found.key is not None and found.query is not None
    place = oracle.mask(
        subject.pattern,
        claim.left,
        found.n,
        found.keys,
        queries=[found.query],
        keys=[found.key],
        choice=real.choice,
    )
    return bool(place.any())


# --- paths ---


def _broken_path(claim: syntax.Reach, subject: Subject, real: Realised) -> str:
    """Follow key j forward, layer by layer, to the token nearest to query i that hears of it."""
    found, choice = real.found, real.choice
    assert found.key is not None and found.query is not None
    masks = oracle.step_masks(subject.pattern, found.n, choice=choice)
    steps = reach.count(claim, len(masks))
    layers = steps if steps is not None else found.n * len(masks)
    names = [step.name or "step" for step in subject.pattern.steps]
    order = failing_order(claim, subject.pattern, found, choice)
    assert order is not None, "the witness was confirmed"
    graph = _information_flow([masks[step] for step in order], found.key, layers)
    by_order = f"in the order {', '.join(names[step] for step in order)}: " if claim.any_order else ""
    by_learning = _only_learned(claim, subject, real)
    return by_order + _followed(graph, found.key, found.query) + by_learning


def _followed(graph: nx.DiGraph, key: int, query: int) -> str:
    heard = sorted({token for token, _ in graph})
    nearest = min(heard, key=lambda token: (abs(token - query), token))
    if nearest == key:
        return f"no later token hears of {key}" if key < query else f"no token hears of {key}"
    arrival = min(layer for token, layer in graph if token == nearest)
    import networkx as nx

    path = nx.shortest_path(graph, (key, 0), (nearest, arrival))
    hops = [(a, b, layer) for (a, _), (b, layer) in pairwise(path) if a != b]
    words = [f"{a} reaches {b} at step {layer}" for a, b, layer in hops]
    told = ", ".join([*words[:2], "...", *words[-2:]] if len(words) > MOST_HOPS else words)
    return f"{told}; nothing carries it on to {query}"


def _only_learned(claim: syntax.Reach, subject: Subject, real: Realised) -> str:
    """Whether the pair is connected where selections choose all they may, and documents are one."""
    if (
        claim.negated
        or not realise.sources(claim, subject.pattern)
        or oracle.confirms(claim, subject.pattern, real.found, "may")
    ):
        return ""
    selections = {selector.name for selector in subject.pattern.selectors}
    data = [one.source for one in realise.sources(claim, subject.pattern) if one.source not in selections]
    documents = [source for source in data if source.isidentifier()]  # a gate is called by its whole text
    if documents:
        return f" (reachable only where `{documents[0]}` allows it)"
    return " (reachable only through learned selections)"


def _information_flow(masks: list[Mask], source: int, layers: int) -> nx.DiGraph:
    """Nodes (token, layer): the tokens that have heard of ``source`` after that many layers, with how they did."""
    import networkx as nx  # a tenth of a second: only a refutation pays for it

    graph = nx.DiGraph()
    graph.add_node((source, 0))
    heard, idle = {source}, 0
    for layer in range(1, layers + 1):
        mask = masks[(layer - 1) % len(masks)]
        latest_first = np.array(sorted(heard, reverse=True))
        told = mask[:, latest_first]
        hearing = (int(query) for query in np.flatnonzero(told.any(axis=1)))
        fresh = {query: int(latest_first[told[query].argmax()]) for query in hearing if query not in heard}
        graph.add_edges_from(((token, layer - 1), (token, layer)) for token in heard)
        graph.add_edges_from(((key, layer - 1), (query, layer)) for query, key in fresh.items())
        idle = 0 if fresh else idle + 1
        if idle == len(masks):
            break
        heard |= set(fresh)
    return graph
