"""R <= S and R = S: relation algebra over rules, steps and their products."""

from __future__ import annotations

from ...patterns_dsl.syntax import Equal, Subset
from ..relations.presburger import IntegerSet
from .result import Witness
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


def confirmed(claim: Subset | Equal, subject: Subject, found: Witness) -> bool:
    """Whether brute force finds the pair of the witness on the side that breaks the claim."""
    on_left, on_right = sides(claim, subject, found)
    return on_left != on_right if isinstance(claim, Equal) else on_left and not on_right


def sides(claim: Subset | Equal, subject: Subject, found: Witness) -> tuple[bool, bool]:
    """Whether the pair of the witness is in the left and in the right relation, by brute force."""
    assert found.key is not None
    row, column = [found.query], [found.key]
    left, right = (
        bool(subject.mask(side, found.n, found.keys, queries=row, keys=column).any())
        for side in (claim.left, claim.right)
    )
    return left, right
