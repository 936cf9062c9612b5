"""Windows on grids whose rows are whole tiles, small enough for a test."""

from __future__ import annotations

from functools import cache

import patternc as pc
from patternc.compiler.passes.candidates import in_natural_order
from patternc.compiler.passes.fuse import fuse
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.passes.split import split
from patternc.patterns_dsl.syntax import BoundPattern

TILE = Tile(16, 16)
NEAR = "-1 <= i.z - j.z <= 1 and -1 <= i.y - j.y <= 1 and -5 <= i.x - j.x <= 5"
ROWS = {"blocks": 128, "tokens": 48}


@cache
def bound_of(name: str) -> BoundPattern:
    """``blocks``: blocks of 32 tokens, 4 by 4 a plane, each with those around it, shifted inwards at the borders.
    ``tokens``: those near each other, 48 by 4 a plane."""
    if name == "blocks":
        return pc.library.load("sliding_tile")["sliding_tile"].bind(h=4, l=4, b=32).bound
    text = f"pattern p bidirectional grid(z, y = 4, x = 48) {{ step {{ (i, j) : {NEAR} }} }}"
    return pc.loads(text)["p"].bind().bound


@cache
def program(name: str) -> Program:
    """In natural order, row by row."""
    bound = bound_of(name)
    [part] = split(bound.union, bound.direction)
    choices = [each for each in in_natural_order(part, TILE) if [one.row for one in each] == [ROWS[name]]]
    return fuse(name, bound.direction, choices[0], TILE)
