"""What a proof looks at: the places where a claim fails."""

from __future__ import annotations

from dataclasses import dataclass

from ...relations.isl.presburger import IntegerSet


@dataclass(frozen=True, slots=True)
class Violations:
    """``points`` over queries i, or over pairs (i, j), for every length at once.

    ``complete``: every violation is among them, so that their being none is a proof. ``exact``: each of them is a
    violation; otherwise each must be looked at.
    """

    points: IntegerSet
    complete: bool = True
    exact: bool = True
