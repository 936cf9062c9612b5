"""R <= S and R = S: relation algebra over rules, steps and their products."""

from __future__ import annotations

from ...patterns_dsl.syntax import Equal, Subset
from ..relations.presburger import IntegerSet
from .subject import Subject


def violations(claim: Subset | Equal, subject: Subject) -> IntegerSet:
    """The pairs in the left side but not in the right (for ``=``: in exactly one of them), over (i, j)."""
    left, right = subject.relation(claim.left), subject.relation(claim.right)
    missing = left - right
    return (missing | (right - left)).pairs if isinstance(claim, Equal) else missing.pairs
