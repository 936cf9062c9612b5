"""What a pattern costs, as far as an editor tells: computed where the proofs are, since it takes the same relations."""

from __future__ import annotations

from dataclasses import dataclass

from ...patterns_dsl.syntax import BoundPattern, Direction
from ..explain.counts import Bound, cache_bound, keys_bound
from ..relations.count import Uncountable
from ..relations.integer import evaluate, length_values
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.relation import universe
from ..verify.properties import keys
from ..verify.subject import Subject

LENGTH = 4096
"""The length that numbers are given for; of a cross pattern, with as many keys."""

_OPERATIONS = 1_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """``density`` is the share of the pairs that are read, in [0, 1]; of a pattern with selections, at most. None where
    it is not counted. ``keys`` are those of one query."""

    density: float | None
    keys: Bound


def figures(pattern: BoundPattern) -> Figures:
    """A few milliseconds for most patterns."""
    return Figures(_density(pattern), keys_bound(pattern, LENGTH, LENGTH))


def cache(pattern: BoundPattern) -> Bound | None:
    """The live keys while decoding; None where nothing is decoded."""
    return cache_bound(pattern, LENGTH, counted=False) if pattern.direction is Direction.CAUSAL else None


def _density(pattern: BoundPattern) -> float | None:
    import numpy as np

    subject, n = Subject(pattern), LENGTH
    try:
        with budget(_OPERATIONS):
            closed = keys.key_counts(subject).function.closed_form(universe(pattern.direction).queries)
    except (BudgetExceeded, Uncountable):
        return None
    values = {"i": np.arange(n, dtype=np.int64), **length_values(n)}
    read = int(np.broadcast_to(evaluate(closed, values, np), (n,)).sum())
    return read / (n * (n + 1) // 2 if pattern.direction is Direction.CAUSAL else n * n)
