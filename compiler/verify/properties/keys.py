"""keys <= E and cache <= E: how many keys a query reads, and how many stay live while a sequence is decoded.

The keys of one query are counted in closed form (``relations/count.py``). A key is live at query i when it exists and
some query from i on reads it: what is not live can be evicted, and nothing else (the rule of StreamingLLM's cache,
derived here from the relation). A summary counts as one key, a selection as no more than it promises.
"""

from __future__ import annotations

from dataclasses import dataclass

from ....patterns_dsl.binding.cases import cases
from ....patterns_dsl.syntax import Cache, Direction, Keys, Term
from ...relations.count import Uncountable, row_counts
from ...relations.denote import condition, number
from ...relations.functions import IntegerFunction
from ...relations.isl.presburger import IntegerSet
from ...relations.relation import Relation, lengths, universe
from ...relations.settle import Extent
from ..subject import Subject
from .terms import Group, groups
from .violations import Violations


@dataclass(frozen=True, slots=True)
class Counts:
    """Keys per query, over i; where not ``exact``, an upper bound."""

    function: IntegerFunction
    exact: bool


def violations(claim: Keys | Cache, subject: Subject) -> Violations:
    """The queries that read, or leave live, more keys than claimed, over i. Raises Uncountable."""
    trivial = _beyond_all(claim, subject)
    if trivial is not None and trivial.empty:
        return Violations(trivial)  # nothing needs to be counted
    counts = key_counts(subject) if isinstance(claim, Keys) else live_counts(subject)
    return Violations(exceeding(counts.function, claim.most, subject.direction), exact=counts.exact)


def _beyond_all(claim: Keys | Cache, subject: Subject) -> IntegerSet | None:
    """The queries at which all the tokens that the direction allows are more than claimed: no query reads more than
    them, and no more are live. None where summaries are keys beside the tokens."""
    kinds = groups(subject.pattern.union, bounded=False)
    if len(kinds) > 1 or any(kind.size > 1 for kind in kinds):
        return None
    allowed = universe(subject.direction)
    return exceeding(row_counts(allowed.pairs, allowed.queries), claim.most, subject.direction)


def bounded(subject: Subject) -> bool:
    """Whether a selection promises a bound for some of the keys: counts are then upper bounds."""
    return any(group.most is not None for group in groups(subject.pattern.union, bounded=True))


def key_counts(subject: Subject) -> Counts:
    """The keys that each query reads. Raises Uncountable."""
    whole = _sum(subject, bounded=False)
    if not bounded(subject):
        return Counts(whole, True)
    return Counts(whole.minimum(_sum(subject, bounded=True)), False)


def _sum(subject: Subject, *, bounded: bool) -> IntegerFunction:
    total = _nothing(subject.direction)
    for group in groups(subject.pattern.union, bounded=bounded):
        total = total.plus(_of_group(_summaries(subject.relation(group.body, Extent.MAY).pairs, group.size), group))
    return total


def live_counts(subject: Subject) -> Counts:
    """The live keys at each query. Raises Uncountable."""
    total, exact = _nothing(subject.direction), True
    for group in groups(subject.pattern.union, bounded=False):
        counts = live_count(subject.relation(group.body, Extent.MAY), group.size)
        total, exact = total.plus(counts.function), exact and counts.exact
    return Counts(total, exact)


def live_count(attended: Relation, size: int = 1) -> Counts:
    """The live keys of one relation. Where they have no closed form in n, those of a sequence that goes on for ever,
    which are at least as many. Raises Uncountable."""
    rows = universe(attended.direction).queries
    try:
        return Counts(row_counts(_summaries(live_keys(attended), size), rows), True)
    except Uncountable:
        return Counts(row_counts(_summaries(live_keys(attended, ends=False), size), rows), False)


def live_keys(attended: Relation, *, ends: bool = True) -> IntegerSet:
    """The pairs (i, j) with j <= i where some query from i on reads key j; ``ends``: none after n."""
    dims = ("i", "j", "l")
    reads = attended.pairs if ends else attended.formula() & IntegerSet.parse(("i", "j"), "0 <= v_j <= v_i")
    later = reads.rename({"i": "l"}).onto(dims)
    now = IntegerSet.parse(dims, "0 <= v_j <= v_i and v_i <= v_l and v_i < v_n", ("n",))
    return (later & now).onto(("i", "j"))


def exceeding(counted: IntegerFunction, most: Term, direction: Direction) -> IntegerSet:
    """Where a count is above a bound in the lengths, in which ``abs``, ``min`` and ``max`` are split into cases."""
    found: IntegerSet | None = None
    for guards, term in cases(most):
        limit = IntegerFunction.parse(counted.dims, number(term), lengths(direction))
        above = counted.above(limit)
        for guard in guards:
            above = above & IntegerSet.parse(counted.dims, condition(guard, direction), lengths(direction))
        found = above if found is None else found | above
    assert found is not None
    return found


def _nothing(direction: Direction) -> IntegerFunction:
    return IntegerFunction.parse(("i",), "0", lengths(direction)).within(universe(direction).queries)


def _summaries(pairs: IntegerSet, size: int) -> IntegerSet:
    return pairs if size == 1 else pairs.image(("i", "s"), f"v_s = floor(v_j / {size})").rename({"s": "j"})


def _of_group(pairs: IntegerSet, group: Group) -> IntegerFunction:
    rows = pairs.onto(("i",))
    if group.most is None:
        return row_counts(pairs, rows)
    bound = IntegerFunction.parse(("i",), str(group.most)).within(rows)
    try:
        return row_counts(pairs, rows).minimum(bound)
    except Uncountable:
        return bound
