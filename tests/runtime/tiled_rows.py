"""Programs that run over the rows of a grid of blocks in natural order and leave some out, small enough for a test."""

from __future__ import annotations

from functools import cache

import patternc as pc
from patternc.compiler.passes.candidates import in_natural_order
from patternc.compiler.passes.fuse import fuse
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.passes.split import split

DOWN, ACROSS, BLOCK = 4, 4, 16
WINDOW = "{ (i, j) : -1 <= i.z - j.z <= 1 and -1 <= i.y - j.y <= 1 and -1 <= i.x - j.x <= 1 }"


def pattern(direction: str) -> pc.Pattern:
    text = f"pattern p {direction} grid(z, y = {DOWN}, x = {ACROSS}, e = {BLOCK}) {{ step {WINDOW} }}"
    return pc.loads(text)["p"].bind()


@cache
def program(direction: str) -> Program:
    bound, tile = pattern(direction).bound, Tile(16, 16)
    [part] = split(bound.union, bound.direction)
    choice = next(each for each in in_natural_order(part, tile) if [one.row for one in each] == [ACROSS * BLOCK])
    return fuse("p", bound.direction, choice, tile)
