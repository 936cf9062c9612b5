"""The fewest tiles that a range of an outline can have: no fewer than are touched, no more than any way to write it."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import pattern

from patternc.compiler import bruteforce
from patternc.compiler.passes.candidates import in_natural_order
from patternc.compiler.passes.count import count_range
from patternc.compiler.passes.least import least_tiles
from patternc.compiler.passes.outline import outline
from patternc.compiler.passes.program import Tile
from patternc.compiler.passes.split import Part
from patternc.compiler.passes.ways import Refused, unmarked, ways_to_write
from patternc.compiler.relations.denote import denote
from patternc.patterns_dsl.syntax import Direction

N, TILE = 480, Tile(16, 16)

EXPRESSIONS = (
    "local(40)",
    "local(9) | strided(48)",
    "{ (i, j) : (i div 48) - (j div 48) <= 2 and 0 <= i - j and -3 <= (i mod 48) - (j mod 48) <= 3 }",
    "{ (i, j) : 0 <= i - j and (i mod 60) - (j mod 60) = 1 and (i - j) div 60 <= 3 }",
)


@pytest.mark.parametrize("direction", [Direction.CAUSAL, Direction.BIDIRECTIONAL])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_lies_between_what_is_touched_and_what_is_written(expression: str, direction: Direction) -> None:
    bound = pattern(expression, direction).bound
    mask = bruteforce.mask(bound.union, direction, N)
    touched = int(mask.reshape(N // 16, 16, N // 16, 16).any(axis=(1, 3)).sum())
    part, written = Part(denote(bound.union, direction), "", 1), 0
    for [placement] in (choice for choice in in_natural_order(part, TILE) if len(choice) == 1):
        if placement.diagonal:
            continue
        for still, swept in ("IJ", "JI"):
            view, total = outline(placement, TILE, still, swept, 3), 0
            try:
                for tiles, ways in ways_to_write(view, placement, TILE, still, swept):
                    spans = [unmarked(way, view) for way in ways]
                    counts = [count_range(span, placement, TILE, N, still, distinct=True) for span in spans]
                    about = {"view": view, "placement": placement, "tile": TILE, "n": N, "still": still}
                    [least] = {least_tiles(tiles, span, **about) for span in spans}
                    assert least <= min(counts), (placement.row, still)
                    total, written = total + least, written + len(counts)
            except Refused:
                continue
            assert total >= touched, (placement.row, still)
    assert written and np.any(mask)
