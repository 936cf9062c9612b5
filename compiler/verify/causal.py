"""causal: no query attends to a later key."""

from __future__ import annotations

import numpy as np

from ...patterns_dsl.syntax import Causal, Direction
from ..relations.presburger import IntegerSet
from ..relations.relation import Relation
from .result import Witness
from .subject import Mask, Subject


def violations(claim: Causal, subject: Subject) -> IntegerSet:
    """The pairs that look ahead, over (i, j)."""
    if subject.direction is Direction.CAUSAL:
        return (subject.union - subject.universe).pairs
    return (subject.union & Relation.parse("v_j > v_i", subject.direction)).pairs


def violated(claim: Causal, subject: Subject, n: int) -> Mask:
    """The same at one length, by brute force: [n, n]."""
    ahead = np.triu(np.ones((n, n), dtype=np.bool_), k=1)
    return ahead & np.stack(subject.step_masks(n)).any(axis=0)


def confirmed(claim: Causal, subject: Subject, found: Witness) -> bool:
    """Whether brute force finds the pair of the witness, and it looks ahead."""
    assert found.key is not None
    row, column = [found.query], [found.key]
    steps = subject.pattern.steps
    hit = any(subject.mask(step.body, found.n, found.keys, queries=row, keys=column).any() for step in steps)
    return hit and found.key > found.query
