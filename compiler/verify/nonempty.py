"""nonempty: in every step, every query attends to at least one key, else its softmax is 0/0.

Steps count one by one because a plan may run them one by one (interleaved layers, separate heads).
"""

from __future__ import annotations

import numpy as np

from ...patterns_dsl.syntax import Nonempty
from ..relations.presburger import IntegerSet
from .result import Witness
from .subject import Mask, Subject


def violations(claim: Nonempty, subject: Subject) -> IntegerSet:
    """The queries without a key in some step, over i."""
    queries = subject.universe.queries
    empty = queries - queries
    for step in subject.steps:
        empty = empty | (queries - step.queries)
    return empty


def violated(claim: Nonempty, subject: Subject, n: int) -> Mask:
    """The same at one length, by brute force: [n]."""
    empty = np.zeros(n, dtype=np.bool_)
    for mask in subject.step_masks(n):
        empty |= ~mask.any(axis=1)
    return empty


def confirmed(claim: Nonempty, subject: Subject, found: Witness) -> bool:
    """Whether brute force finds the query of the witness without a key in some step."""
    row = [found.query]
    return not all(subject.mask(step.body, found.n, found.keys, queries=row).any() for step in subject.pattern.steps)
