"""Realisations: real choices under which a claim fails.

A bound (see ``settle``) may hold pairs that no selection ever gives together, so where selections decide, a place that
violates a claim on the bounds is only a hint. Each selector names selections that can occur; under one of them the
claim fails, or it is not refuted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Literal

from ...patterns_dsl import syntax
from ...patterns_dsl.syntax import BoundPattern, Claim
from ..effort import TooLong
from ..relations.settle import Open, Picks, drawn, opens
from .result import Witness

MOST = 32
"""Combinations of examples that are tried."""

SCANNED = (*range(1, 17), 24, 32, 48, 64, 96, 128)
"""Lengths at which a real violation is looked for."""


@dataclass(frozen=True, slots=True)
class Realised:
    """A violation, and the choice that leads to it, in words: ``when `hot` chooses nothing``; no words where there is
    nothing to choose. ``may``: what no choice changes, a pair that is connected by none."""

    found: Witness
    words: str
    choice: Picks | Literal["may"]


def sources(claim: Claim, pattern: BoundPattern) -> tuple[Open, ...]:
    """What is open in the relations that a claim speaks of."""
    whole: dict[str, Open] = {}
    for expression in _expressions(claim, pattern):
        for one in opens(expression):
            known = whole.get(one.source, one)
            positive, negative = known.positive or one.positive, known.negative or one.negative
            whole[one.source] = Open(one.source, one.examples, positive, negative)
    return tuple(whole.values())


def by_table(claim: Claim, pattern: BoundPattern) -> bool:
    """Whether a seeded table has a part in the relations that a claim speaks of."""
    return any(drawn(expression) for expression in _expressions(claim, pattern))


def _expressions(claim: Claim, pattern: BoundPattern) -> tuple[syntax.Expression, ...]:
    match claim:
        case syntax.Subset() | syntax.Equal() | syntax.Disjoint():
            return claim.left, claim.right
        case _:
            return tuple(step.body for step in pattern.steps)


def choices(open_sources: tuple[Open, ...]) -> Iterator[Mapping[str, int]]:
    """Combinations of examples; one empty one where nothing is open."""
    numbers = (range(len(one.examples)) for one in open_sources)
    for combination in islice(product(*numbers), MOST):
        yield {one.source: number for one, number in zip(open_sources, combination, strict=True)}


def words(open_sources: tuple[Open, ...], picks: Picks) -> str:
    parts = [f"`{one.source}` {one.examples[picks[one.source]]}" for one in open_sources]
    return f"when {' and '.join(parts)}" if parts else ""


def realise(claim: Claim, pattern: BoundPattern, hint: Witness | None) -> Realised | None:
    """A real violation: at the hint if there is one, else at some small length."""
    from .oracle import claims as oracle  # arrays: only a claim that is not simply proved pays for them

    open_sources = sources(claim, pattern)
    combinations = list(choices(open_sources))
    try:
        for picks in combinations if hint is not None else ():
            if hint is not None and oracle.confirms(claim, pattern, hint, picks):
                return Realised(hint, words(open_sources, picks), picks)
    except TooLong:
        pass
    if pattern.direction is syntax.Direction.CROSS:
        lengths: list[tuple[int, int | None]] = [*product(SCANNED[:12], SCANNED[:12])]
    else:
        lengths = [(n, None) for n in SCANNED]
    for n, nk in lengths:
        try:
            if (found := at_length(claim, pattern, n, nk)) is not None:
                return found
        except TooLong:
            break
    return None


def at_length(claim: Claim, pattern: BoundPattern, n: int, nk: int | None) -> Realised | None:
    """A real violation at this length. Raises TooLong."""
    from .oracle import claims as oracle

    open_sources = sources(claim, pattern)
    for picks in choices(open_sources):
        found = oracle.first_violation(claim, pattern, n, nk, picks)
        if found is not None:
            return Realised(found, words(open_sources, picks), picks)
    return None
