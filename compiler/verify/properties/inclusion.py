"""R <= S, R = S and disjoint(R, S): relation algebra over rules, steps and their products."""

from __future__ import annotations

from ....patterns_dsl.syntax import Disjoint, Equal, Subset
from ...relations.settle import Extent
from ..subject import Subject
from .violations import Violations


def violations(claim: Subset | Equal | Disjoint, subject: Subject) -> Violations:
    """The pairs in the left side but not in the right (for ``=``: in exactly one; for disjoint: in both)."""
    must_left, must_right = (subject.relation(side, Extent.MUST) for side in (claim.left, claim.right))
    may_left, may_right = (subject.relation(side, Extent.MAY) for side in (claim.left, claim.right))
    match claim:
        case Subset():
            return Violations((may_left - must_right).pairs)
        case Equal():
            return Violations(((may_left - must_right) | (may_right - must_left)).pairs)
        case Disjoint():
            return Violations((may_left & may_right).pairs)
