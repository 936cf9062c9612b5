"""symmetric: whenever i attends to j, j attends to i."""

from __future__ import annotations

from ....patterns_dsl.syntax import Symmetric
from ...relations.settle import Extent
from ..subject import Subject
from .violations import Violations


def violations(claim: Symmetric, subject: Subject) -> Violations:
    """The pairs (i, j) that attend while (j, i) does not."""
    return Violations((subject.union(Extent.MAY) - subject.union(Extent.MUST).transposed()).pairs)
