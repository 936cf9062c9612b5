"""A ceiling over every budget of set operations and of brute force: what would need more is given up as a whole.

A budget that is used up leads to the next best thing: small lengths, a bound, UNKNOWN. A ceiling does not: it is there
to find out cheaply whether a piece of work is small, before it is done elsewhere with the budgets that it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class Heavier(Exception):
    """The work needs more than the ceiling over it allows. ``seconds``: what it took to reach it."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        self.seconds = seconds
        super().__init__(message)


@dataclass(slots=True)
class _Ceiling:
    operations: int
    places: float


_OVER: ContextVar[_Ceiling | None] = ContextVar("the ceiling over all budgets", default=None)


@contextmanager
def ceiling(operations: int, places: float) -> Iterator[None]:
    """At most so many set operations in any one budget inside, and places for all of brute force together.

    Raises Heavier where a budget would have allowed more, and it was needed.
    """
    token = _OVER.set(_Ceiling(operations, places))
    try:
        yield
    finally:
        _OVER.reset(token)


def capped(operations: int) -> int:
    """What a budget may allow."""
    over = _OVER.get()
    return operations if over is None else min(operations, over.operations)


def take(places: float) -> None:
    """Before so many places are looked at. Raises Heavier."""
    over = _OVER.get()
    if over is not None:
        over.places -= places
        if over.places < 0:
            raise Heavier(f"{places:.2g} places more")
