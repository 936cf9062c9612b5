"""nonempty: in every step, every query attends to at least one key, else its softmax is 0/0.

Steps count one by one because a plan may run them one by one (interleaved layers, separate heads).
"""

from __future__ import annotations

from ....patterns_dsl.syntax import Nonempty
from ...relations.settle import Extent
from ..subject import Subject
from .violations import Violations


def violations(claim: Nonempty, subject: Subject) -> Violations:
    """The queries without a key in some step, over i."""
    queries = subject.universe.queries
    empty = queries - queries
    for step in subject.steps_within(Extent.MUST):
        empty = empty | (queries - step.queries)
    return Violations(empty)
