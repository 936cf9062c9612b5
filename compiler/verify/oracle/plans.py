"""Claims about plans by brute force: layer by layer, on boolean matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....patterns_dsl.syntax import PlanCache, PlanReach
from ... import bruteforce
from ...bruteforce import Choice, Mask
from ...effort import PRODUCT_WORK, spend
from ..plan_subject import PlanSubject
from ..result import Witness
from . import claims as oracle
from .bounds import value


def layer_mask(subject: PlanSubject, number: int, n: int, choice: Choice) -> Mask:
    """[n, n]: what the heads of a layer attend to together, the model's own heads among them as far as they may count.
    Raises TooLong."""
    if choice == "may" and subject.passed_over(number):
        return oracle.allowed_pairs(subject.direction, n)
    whole = np.zeros((n, n), dtype=np.bool_)
    for pattern, body in subject.bodies(number):
        whole |= oracle.mask(pattern, body, n, choice=choice)
    return whole


def hops(subject: PlanSubject, n: int, start: int, layers: int, choice: Choice) -> NDArray[np.int64]:
    """[n, n]: after how many layers, the first of them ``start``, a query has heard of a key; -1 for not yet.

    Raises TooLong.
    """
    spend(n**3 * layers / PRODUCT_WORK)
    reached = np.eye(n, dtype=np.bool_)
    when = np.where(reached, 0, -1)
    for layer in range(layers):
        further = bruteforce.compose(layer_mask(subject, start + layer, n, choice), reached) | reached
        when[further & ~reached] = layer + 1
        reached = further
        if reached.all():
            break
    return when


def first_violation(claim: PlanReach | PlanCache, subject: PlanSubject, n: int, layers: int | None) -> Witness | None:
    """The first violation at a length; for `reach`, of the claim that all pairs are connected. ``layers`` None: as
    many as may tell a token anything new. Raises TooLong."""
    if layers is None:
        layers = subject.enough(n)
    if isinstance(claim, PlanCache):
        for gaps in (False, True):  # first what the lines keep
            total = sum(live(subject, number, n, gaps=gaps) for number in range(layers))
            over = np.flatnonzero(np.asarray(total) > value(claim.most, n))
            if len(over):
                return Witness(n, int(over[0]))
        return None
    choice: Choice = "may" if claim.negated else "must"
    allowed = oracle.allowed_pairs(subject.direction, n)
    for start in subject.starts(layers, any_run=claim.any_run):
        missing = np.argwhere(allowed & (hops(subject, n, start, layers, choice) < 0))
        if len(missing):
            return Witness(n, int(missing[0][0]), int(missing[0][1]))
    return None


def live(subject: PlanSubject, number: int, n: int, *, gaps: bool) -> NDArray[np.int64]:
    """How many keys of a layer are live at each query, whatever selections choose. ``gaps``: with the model's own
    heads, which may read every key."""
    if gaps and subject.passed_over(number):
        return np.arange(1, n + 1)
    merged = subject.merged(number)
    return np.zeros(n, dtype=np.int64) if merged is None else oracle.live_counts(merged, n)


def confirms(
    claim: PlanReach | PlanCache, subject: PlanSubject, found: Witness, layers: int, *, gaps: bool = True
) -> bool:
    """Whether the claim fails at the witness; ``gaps``: with the keys that the model's own heads may keep. Raises
    TooLong."""
    assert found.query is not None
    if isinstance(claim, PlanCache):
        total = sum(live(subject, number, found.n, gaps=gaps)[found.query] for number in range(layers))
        return bool(total > value(claim.most, found.n))
    choice: Choice = "may" if claim.negated else "must"
    starts = subject.starts(layers, any_run=claim.any_run)
    return any(hops(subject, found.n, start, layers, choice)[found.query, found.key] < 0 for start in starts)
