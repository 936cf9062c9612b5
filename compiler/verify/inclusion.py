"""R <= S and R = S: relation algebra over rules, steps and their products."""

from __future__ import annotations

from ...patterns_dsl.syntax import Equal, Subset
from ..presburger import IntegerSet
from .subject import Mask, Subject


def violations(claim: Subset | Equal, subject: Subject) -> IntegerSet:
    """The pairs in the left side but not in the right (for ``=``: in exactly one of them), over (i, j)."""
    left, right = subject.relation(claim.left), subject.relation(claim.right)
    missing = left - right
    return (missing | (right - left)).pairs if isinstance(claim, Equal) else missing.pairs


def violated(claim: Subset | Equal, subject: Subject, n: int) -> Mask:
    """The same at one length, by brute force: [n, n]."""
    left, right = subject.mask(claim.left, n), subject.mask(claim.right, n)
    return left ^ right if isinstance(claim, Equal) else left & ~right
