"""causal: no query attends to a later key."""

from __future__ import annotations

from ...patterns_dsl.syntax import Causal, Direction
from ..relations.presburger import IntegerSet
from ..relations.relation import Relation
from .subject import Subject


def violations(claim: Causal, subject: Subject) -> IntegerSet:
    """The pairs that look ahead, over (i, j)."""
    if subject.direction is Direction.CAUSAL:
        return (subject.union - subject.universe).pairs
    return (subject.union & Relation.parse("v_j > v_i", subject.direction)).pairs
