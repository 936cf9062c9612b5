"""check: the verdict on every claim of a pattern or of a plan, in bounded time and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .guard import check_within
from .result import Result

if TYPE_CHECKING:
    from ..pattern import Pattern, Plan


def check(subject: Pattern | Plan) -> tuple[Result, ...]:
    """The verdicts in the order in which the claims are written. Raises PatternError where it cannot be bound, and
    TypeError for what is neither a pattern nor a plan."""
    if not hasattr(subject, "bound"):
        raise TypeError(f'a {type(subject).__name__} has no claims: give a pattern, pc.load("FILE")["NAME"], or a plan')
    return check_within(subject.bound)
