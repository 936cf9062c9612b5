"""How many hops a `reach` really takes, for those that hold: many hops are true and still worth a warning.

Information that passes many layers fades: with residual connections of ordinary strength a window's effective horizon
stops growing after about one and a half windows (G. Xiao 2025, "Why Stacking Sliding Windows Can't See Very Far").
"""

from __future__ import annotations

from dataclasses import replace

from ....patterns_dsl.syntax import Integer, Reach
from ...effort import TooLong
from ...relations.isl.context import BudgetExceeded, budget
from ...relations.settle import Extent
from ..proof import Proof
from ..properties import reach
from ..result import Result, Status

FEW = 3
"""Hops that carry a token on well."""


def with_warning(result: Result, proof: Proof) -> Result:
    """The result, with a warning where a reach that holds takes more than a few hops."""
    claim = proof.claim
    holds = result.status in (Status.PROVED, Status.CHECKED)
    if not holds or not isinstance(claim, Reach) or claim.negated:
        return result
    claimed = reach.count(claim, len(proof.subject.pattern.steps))
    if claimed is None or claimed <= FEW or _in_few(claim, proof):
        return result
    return replace(result, warning=f"`{result.text}` holds, but not in {FEW} steps")


def _in_few(claim: Reach, proof: Proof) -> bool:
    fewer = replace(claim, steps=Integer(FEW, span=claim.span))
    if claim.at is not None:
        from ..oracle import claims as oracle

        try:
            return oracle.first_violation(fewer, proof.subject.pattern, claim.at.values[0]) is None
        except TooLong:
            return False
    steps = proof.subject.steps_within(Extent.MUST)
    try:
        with budget(proof.operations):
            tried = reach.orders(steps) if claim.any_order else [steps]
            return all(proof.subject.universe <= reach.reached(proof.subject, FEW, order) for order in tried)
    except BudgetExceeded:
        return False
