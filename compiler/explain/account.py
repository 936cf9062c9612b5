"""explain: the whole account of one pattern at one length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.syntax import BoundPattern, Direction, Expression
from ..gathering import dear_lists
from ..idle_choices import forced_choices
from ..pattern import Pattern
from ..relations.membership import Ints, Member, membership
from ..relations.settle import Extent, opens
from ..selection import UsageError, title
from ..verify.findings.advice import cache_advice, reach_advice
from .cost import Cost, cost
from .counts import Bound, cache_bound, keys_bound
from .hops import Hops, hops
from .kind import Kind, Term, terms, together
from .pairs import count_pairs

Intervals = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """One head at one length; of a cross pattern, with as many keys as queries.

    ``pairs`` attend whatever selections choose, ``possible`` under some choice; ``exact`` tells counted from sampled.
    ``cache`` is None where nothing is decoded, ``hops`` where keys are not queries. ``cost`` is None where no engine
    runs the pattern yet: ``no_cost`` says why. ``keys`` are those of ``query``, and ``possible_keys`` those it could
    have, as closed intervals. ``advice`` is what was checked to repair reach or the cache,
    and what lists cost that few queries share.
    """

    pattern: str
    direction: Direction
    kind: Kind
    terms: tuple[Term, ...]
    length: int
    pairs: int
    possible: int
    exact: bool
    dense_pairs: int
    most_keys: Bound
    cache: Bound | None
    hops: Hops | None
    advice: tuple[str, ...]
    cost: Cost | None
    no_cost: str
    query: int | None
    keys: Intervals
    possible_keys: Intervals

    @property
    def density(self) -> float:
        return self.pairs / self.dense_pairs

    @property
    def waste(self) -> float | None:
        """The share of the computed scores that are masked away."""
        return None if self.cost is None else self.cost.waste(self.pairs)


def explain(pattern: Pattern, n: int, *, head_dim: int = 64, query: int | None = None) -> Account:
    """Account for the union of the steps. Raises UsageError for a query that is not in 0..n-1."""
    bound = pattern.bound
    if query is not None and query >= n:
        raise UsageError(f"there is no query {query} at n = {n}")
    found = terms(bound)
    must, may = (_member(bound, bound.union, n, extent) for extent in Extent)
    pairs, exact = count_pairs(bound, n, Extent.MUST)
    possible, counted = count_pairs(bound, n, Extent.MAY) if opens(bound.union) else (pairs, exact)
    price, why = _cost(bound, n, head_dim)
    causal = bound.direction is Direction.CAUSAL
    far = hops(bound, n)
    return Account(
        pattern=title(bound),
        direction=bound.direction,
        kind=together(term.kind for term in found),
        terms=found,
        length=n,
        pairs=pairs,
        possible=possible,
        exact=exact and counted,
        dense_pairs=n * (n + 1) // 2 if causal else n * n,
        most_keys=keys_bound(bound, n, n),
        cache=cache_bound(bound, n) if causal else None,
        hops=far,
        advice=_advice(bound, far),
        cost=price,
        no_cost=why,
        query=query,
        keys=() if query is None else _keys(must, query, n),
        possible_keys=() if query is None else _keys(may, query, n),
    )


def _advice(bound: BoundPattern, far: Hops | None) -> tuple[str, ...]:
    found = [reach_advice(bound)] if far is not None and far.proved is None else []
    if bound.direction is Direction.CAUSAL:
        found.append(cache_advice(bound))
    found.extend(dear_lists(bound))
    found.extend(sentence for _, sentence in forced_choices(bound))
    return tuple(filter(None, found))


def _cost(bound: BoundPattern, n: int, head_dim: int) -> tuple[Cost | None, str]:
    try:
        return cost(bound, n, head_dim), ""
    except PatternError as error:
        return None, error.diagnostics[0].message


def _member(bound: BoundPattern, expression: Expression, n: int, extent: Extent) -> Member:
    return membership(expression, bound.direction, n, n, extent)


def _keys(member: Member, query: int, n: int) -> Intervals:
    return _intervals(np.flatnonzero(member(np.array([query]), np.arange(n, dtype=np.int64))))


def _intervals(keys: Ints) -> Intervals:
    """[0, 1, 2, 9] -> ((0, 2), (9, 9))."""
    runs = np.split(keys, np.flatnonzero(np.diff(keys) > 1) + 1)
    return tuple((int(run[0]), int(run[-1])) for run in runs if len(run))
