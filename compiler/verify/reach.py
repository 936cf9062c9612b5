"""reach: after K attention layers every token has heard of every earlier one (of every one, when bidirectional).

R_0 = I and R_l = (A_(l mod p) | I) @ R_(l-1): layer l runs one of the p steps, the first layer the first, and the
residual stream carries every token along (Child et al. 2019, section 4.2; with the order of layers made explicit).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...patterns_dsl.syntax import Integer, Reach
from .. import bruteforce
from ..relations.presburger import IntegerSet
from ..relations.relation import Relation
from .result import Witness
from .subject import Mask, Subject


def violations(claim: Reach, subject: Subject) -> IntegerSet:
    """Pairs (i, j) where i has not heard of j after K steps.

    Without K: pairs that no number of steps connects, from an upper bound of the transitive closure. That set may
    miss some of them but holds no others, so its being empty says nothing (``complete`` is then False).
    """
    return (subject.universe - reached(subject, count(claim))).pairs


def complete(claim: Reach) -> bool:
    """Whether ``violations`` holds all the violating pairs, so that an empty set is a proof."""
    return claim.steps is not None


def violated(claim: Reach, subject: Subject, n: int) -> Mask:
    """The same at one length, by brute force: [n, n]."""
    steps, rounds = count(claim), n * len(subject.pattern.steps)
    if n**3 * min(steps or rounds, rounds) > bruteforce.LARGEST_WORK * bruteforce.PRODUCT_WORK:
        raise bruteforce.TooLong(f"the paths between {n} tokens are too many to try one by one")
    masks = subject.step_masks(n)
    connected = bruteforce.reachable_ever(masks) if steps is None else bruteforce.hops(masks, steps)
    return subject.universe_mask(n) & ~connected


def confirmed(claim: Reach, subject: Subject, found: Witness) -> bool:
    """Whether brute force finds that the query of the witness never hears of its key."""
    assert found.key is not None
    if not subject.universe_mask_at(found.query, found.key):
        return False
    steps, layers = subject.pattern.steps, count(claim)
    heard, layer, idle = np.array([found.key]), 0, 0
    while (layers is None or layer < layers - 1) and idle < len(steps):
        mask = subject.mask(steps[layer % len(steps)].body, found.n, keys=heard)
        told = np.union1d(heard, np.flatnonzero(mask.any(axis=1)))
        heard, layer, idle = told, layer + 1, idle + 1 if len(told) == len(heard) else 0
    if idle == len(steps) or layers is None:
        return found.query not in heard
    last = subject.mask(steps[(layers - 1) % len(steps)].body, found.n, queries=[found.query], keys=heard)
    return found.query not in heard and not last.any()


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
