"""reach: after K attention layers every token has heard of every earlier one (of every one, when bidirectional).

R_0 = I and R_l = (A_(l mod p) | I) @ R_(l-1): layer l runs one of the p steps, the first layer the first, and the
residual stream carries every token along (Child et al. 2019, section 4.2; with the order of layers made explicit).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, permutations

from ....patterns_dsl.syntax import Integer, Reach
from ...relations.isl.context import BudgetExceeded, budget
from ...relations.relation import Relation
from ...relations.settle import Extent
from ..subject import Subject
from .violations import Violations

MOST_ORDERS = 24
"""Orders of the steps that `in any layer order` tries: all orders of four steps."""


def violations(claim: Reach, subject: Subject) -> Violations:
    """Pairs (i, j) where i has not heard of j after K steps.

    What a selection could connect counts for `not reach` only. Without K: pairs that no number of steps connects, from
    an upper bound of the transitive closure, which may miss some of them.
    """
    extent = Extent.MAY if claim.negated else Extent.MUST
    steps = subject.steps_within(extent)
    if claim.any_order:
        missing = subject.universe - subject.universe
        for order in orders(steps):
            missing = missing | (subject.universe - reached(subject, count(claim, len(steps)), order))
        return Violations(missing.pairs)
    steps_taken = count(claim, len(steps))
    missing = subject.universe - reached(subject, steps_taken, steps)
    return Violations(missing.pairs, exact=steps_taken is not None, complete=steps_taken is not None)


def orders(steps: Sequence[Relation]) -> Iterator[tuple[Relation, ...]]:
    """Every order in which layers can take the steps in turn. Raises BudgetExceeded for too many."""
    found = list(islice(permutations(steps), MOST_ORDERS + 1))
    if len(found) > MOST_ORDERS:
        raise BudgetExceeded(f"{len(steps)} steps have more than {MOST_ORDERS} orders")
    return iter(found)


def count(claim: Reach, steps: int) -> int | None:
    """K after binding; None where the claim is about any number of steps. In any order, K is by default the number of
    steps: one layer for each."""
    if claim.steps is None:
        return steps if claim.any_order else None
    if not isinstance(claim.steps, Integer):
        raise TypeError("the number of steps is folded by bind")
    return claim.steps.value


def reached(subject: Subject, count: int | None, steps: Sequence[Relation]) -> Relation:
    """The pairs connected after ``count`` of the steps; for None about those connected after any number: meant
    to be a superset, but for some relations isl's closure leaves out pairs, even of the relation itself."""
    if count is None:
        hop = subject.identity
        for step in steps:
            hop = hop | step
        return Relation(hop.pairs.transitive_closure(), subject.direction) & subject.universe
    return through(subject.identity, (steps[layer % len(steps)] for layer in range(count)), len(steps))


def through(identity: Relation, layers: Iterator[Relation], period: int) -> Relation:
    """The pairs connected by the layers in turn; stops where ``period`` of them in a row told nobody anything."""
    connected, idle = identity, 0
    for layer in layers:
        further = (layer | identity) @ connected
        idle = idle + 1 if further.equals(connected) else 0
        connected = further
        if idle == period:
            break
    return connected


def enough(subject: Subject, extent: Extent = Extent.MUST, most: int | None = None) -> int | None:
    """A number of steps that connects every pair, for every length, if a few do."""
    steps = subject.steps_within(extent)
    try:
        with budget():
            for taken in range(1, (most or 2 * len(steps) + 1) + 1):
                if subject.universe <= reached(subject, taken, steps):
                    return taken
    except BudgetExceeded:
        pass
    return None
