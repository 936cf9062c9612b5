"""How many keys a query reads, and how many stay live: formulas in the length, and numbers at one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ...patterns_dsl.syntax import BoundPattern, Direction
from ..effort import TooLong, allowance
from ..relations.count import Uncountable
from ..relations.functions import IntegerFunction
from ..relations.integer import evaluate, length_values
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import Relation, lengths, universe
from ..relations.settle import Extent
from ..relations.spelling import spell
from ..verify.properties import keys
from ..verify.properties.keys import Counts
from ..verify.subject import Subject

_OPERATIONS = 6_000_000
_PLACES = 2**27

_LONG = 4096
"""A formula that needs cases at small lengths is stated from here on."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The greatest count over all queries. ``formula`` is in the words of the language, and holds ``when``; None where
    it has no short one. ``at`` is its value at the length that was asked for; None where it was not found. Where not
    ``exact`` both are upper bounds."""

    formula: str | None
    when: str
    at: int | None
    exact: bool


def keys_bound(pattern: BoundPattern, n: int, nk: int) -> Bound:
    """The most keys that a query reads; a summary counts as one."""
    from ..verify.oracle import claims as oracle

    subject = Subject(pattern)
    bounded = keys.bounded(subject)
    return _bound(
        lambda: keys.key_counts(subject),
        lambda: int(oracle.key_counts(pattern, n, nk if pattern.direction is Direction.CROSS else None).max()),
        pattern.direction,
        (n, nk),
        subject.union(Extent.MAY).pairs.moduli,
        exact=not bounded,
    )


def cache_bound(pattern: BoundPattern, n: int, *, counted: bool = True) -> Bound:
    """The most keys that can still be read at a moment of decoding. ``counted``: where the closed form is a bound only,
    they are counted by brute force; that takes a second."""
    from ..verify.oracle import claims as oracle

    subject = Subject(pattern)
    return _bound(
        lambda: keys.live_counts(subject),
        (lambda: int(oracle.live_counts(pattern, n).max())) if counted else None,
        pattern.direction,
        (n, n),
        subject.union(Extent.MAY).pairs.moduli,
        exact=True,
    )


def live_bound(relation: Relation, n: int) -> Bound:
    """The same for one relation."""
    moduli = relation.pairs.moduli
    return _bound(lambda: keys.live_count(relation), None, relation.direction, (n, n), moduli, exact=True)


def _bound(
    closed: Callable[[], Counts],
    counted: Callable[[], int] | None,
    direction: Direction,
    at: tuple[int, int],
    periods: Iterable[int],
    *,
    exact: bool,
) -> Bound:
    try:
        with budget(_OPERATIONS):
            counts = closed()
            formula, when = _formula(counts.function, direction, periods)
            value = _greatest_at(counts.function, direction, at)
    except (BudgetExceeded, Uncountable):
        counts, formula, when, value = None, None, "", None
    if counted is not None and (counts is None or not counts.exact) and exact:
        try:  # the count at this one length is exact, where the closed form is not, or does not exist
            with allowance(_PLACES):
                return Bound(formula, when, counted(), counts is None or formula is None)
        except TooLong:
            pass
    return Bound(formula, when, value, counts is not None and counts.exact)


def _formula(function: IntegerFunction, direction: Direction, periods: Iterable[int]) -> tuple[str | None, str]:
    most = function.greatest("i")
    names = lengths(direction)
    every = " and ".join(f"v_{name} >= 1" for name in names)
    text = spell(most.closed_form(IntegerSet.parse((), every, names)))
    if text is not None:
        return text, "for every length"
    for period in (1, *sorted({*function.moduli, *periods}, reverse=True)):
        long = " and ".join(f"v_{name} >= {_LONG} and v_{name} mod {period} = 0" for name in names)
        text = spell(most.closed_form(IntegerSet.parse((), long, names)))
        if text is not None:
            return text, f"at multiples of {period} from {_LONG} on" if period > 1 else f"from {_LONG} on"
    return None, ""


def _greatest_at(function: IntegerFunction, direction: Direction, at: tuple[int, int]) -> int:
    n, nk = at
    closed = function.closed_form(universe(direction).queries)
    values = {"i": np.arange(n, dtype=np.int64), **length_values(n, nk)}
    return int(np.broadcast_to(evaluate(closed, values, np), (n,)).max())
