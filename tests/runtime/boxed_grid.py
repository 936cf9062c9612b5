"""Programs that run box by box on a grid, small enough for a test."""

from __future__ import annotations

from functools import cache

import patternc as pc
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program, Tile

WIDTH = 64
WINDOW = "{ (i, j) : -2 <= i.x - j.x <= 2 and -2 <= i.y - j.y <= 2 }"


def pattern(direction: str) -> pc.Pattern:
    return pc.loads(f"pattern p {direction} grid(y, x = {WIDTH}) {{ step {WINDOW} }}")["p"].bind()


@cache
def program(direction: str) -> Program:
    """In tiles of 32 x 32, which are boxes of 4 x 8 cells."""
    bound = pattern(direction).bound
    found = lower(bound.union, bound.direction, bound.name, Tile(32, 32)).program
    assert all(term.query.tiled and term.key.tiled for term in found.terms)
    return found
