"""reach: after K attention layers every token has heard of every earlier one (of every one, when bidirectional).

R_0 = I and R_l = (A_(l mod p) | I) @ R_(l-1): layer l runs one of the p steps, the first layer the first, and the
residual stream carries every token along (Child et al. 2019, section 4.2; with the order of layers made explicit).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...patterns_dsl.syntax import Integer, Reach
from ..relations.presburger import BudgetExceeded, IntegerSet, budget
from ..relations.relation import Relation
from .subject import Subject


def violations(claim: Reach, subject: Subject) -> IntegerSet:
    """Pairs (i, j) where i has not heard of j after K steps.

    Without K: pairs that no number of steps connects, from an upper bound of the transitive closure. That set may
    miss some of them but holds no others, so its being empty says nothing (``complete`` is then False).
    """
    return (subject.universe - reached(subject, count(claim))).pairs


def complete(claim: Reach) -> bool:
    """Whether ``violations`` holds all the violating pairs, so that an empty set is a proof."""
    return claim.steps is not None


def count(claim: Reach) -> int | None:
    """K of ``reach in K steps`` after binding; None where the claim is about any number of steps."""
    if claim.steps is None:
        return None
    if not isinstance(claim.steps, Integer):
        raise TypeError("the number of steps is folded by bind")
    return claim.steps.value


def reached(subject: Subject, count: int | None, steps: Sequence[Relation] | None = None) -> Relation:
    """The pairs connected after ``count`` steps; for None a superset of those connected after any number.

    ``steps`` stands in for the pattern's own steps, to try a repair.
    """
    steps = subject.steps if steps is None else steps
    if count is None:
        hop = subject.identity
        for step in steps:
            hop = hop | step
        return Relation(hop.pairs.transitive_superset(), subject.direction) & subject.universe
    connected = subject.identity
    before = connected
    for layer in range(count):
        connected = (steps[layer % len(steps)] | subject.identity) @ connected
        if layer % len(steps) == len(steps) - 1:
            if connected.equals(before):  # a round of the steps told nobody anything: nor will any later one
                break
            before = connected
    return connected


def enough(subject: Subject) -> int | None:
    """A number of steps that connects every pair, for every length, if a few do."""
    try:
        with budget():
            for steps in range(1, 2 * len(subject.steps) + 2):
                if subject.universe <= reached(subject, steps):
                    return steps
    except BudgetExceeded:
        pass
    return None
