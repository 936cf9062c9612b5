"""causal: no query attends to a later key."""

from __future__ import annotations

from ....patterns_dsl.syntax import Causal, Direction
from ...relations.relation import Relation
from ...relations.settle import Extent
from ..subject import Subject
from .violations import Violations


def violations(claim: Causal, subject: Subject) -> Violations:
    """The pairs that look ahead, over (i, j)."""
    attended = subject.union(Extent.MAY)
    if subject.direction is Direction.CAUSAL:
        return Violations((attended - subject.universe).pairs)
    return Violations((attended & Relation.parse("v_j > v_i", subject.direction)).pairs)
