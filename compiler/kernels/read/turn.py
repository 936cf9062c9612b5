"""read: which class of tokens is swept for the stationary one."""

from __future__ import annotations

from math import gcd

from ...passes.order import STRAIGHT, Turn
from .integer import ReadError
from .statements import Statements, integer

_LARGEST = (1 << 31) - 1
"""What the 32-bit integer of a class holds."""


def read_turn(statements: Statements, swept: str, classes: int) -> Turn:
    """From the stationary class to the one that is swept."""
    if statements.accept(f"{swept} = c") is not None:
        return STRAIGHT
    found = statements.accept(f"{swept} = (c + HOLE_shift) % HOLE_classes")
    factor = 1
    if found is None:
        found = statements.take(f"{swept} = (HOLE_factor * c + HOLE_shift) % HOLE_classes")
        factor = integer(found, "factor")
    turn = Turn(integer(found, "shift"), factor)
    fits = integer(found, "classes") == classes and 0 <= turn.shift < classes and 1 <= factor < max(2, classes)
    if not fits or gcd(factor, classes) != 1 or factor * classes > _LARGEST:
        raise ReadError(f"generated source: {turn} in {classes} classes")
    return turn
