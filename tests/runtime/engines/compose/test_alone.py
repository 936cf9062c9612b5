"""Tiles that stand alone: their masks are those of the pattern, and neighbours that are alike are one run."""

from __future__ import annotations

import numpy as np

from patternc.compiler.relations.integer import TRUE, Binary, Compare, Const, Predicate, Var
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.planning.alone import AT_ONCE, evaluated

NEAR = Compare("<=", Binary("-", Var("a"), Var("b")), Const(20))
BORDER = Tiles(64, 16, 32, 40, 32, 32, 1)


def at(tile: int) -> Tiles:
    return BORDER.part(tile, 1)


def kept(tiles: Tiles) -> np.ndarray:  # type: ignore[type-arg]
    """Of the first tile, by hand."""
    a, b = np.arange(tiles.row, tiles.row + tiles.rows), np.arange(tiles.key, tiles.key + tiles.keys)
    found: np.ndarray = a[:, None] - b <= 20  # type: ignore[type-arg]
    return found


def test_runs_with_the_same_pairs_are_one_in_their_order() -> None:
    middle, other = Tiles(128, 16, 32, 104, 32, 32, 5), Tiles(0, 8, 0, 0, 8, 0, 1)
    told: list[tuple[Tiles, Predicate | None]] = [(at(0), None), (at(1), None), (middle, NEAR), (other, None)]
    [(run, mask), (last, all_of_it)] = evaluated(NEAR, told, {})
    assert run == Tiles(64, 16, 32, 40, 32, 32, 7) and np.array_equal(mask, kept(at(0)))
    assert not kept(at(0)).all()
    assert (last, all_of_it) == (other, TRUE)


def test_tiles_without_a_pair_are_left_out() -> None:
    told = [(at(0), None), (Tiles(500, 16, 32, 0, 32, 32, 1), None), (at(1), None), (at(3), None)]
    assert [tiles for tiles, _ in evaluated(NEAR, told, {})] == [BORDER.part(0, 2), at(3)]


def test_many_are_looked_at_bit_by_bit() -> None:
    """A shape of too many pieces is given up before all of them are known."""
    asked: list[int] = []

    def tiles():  # type: ignore[no-untyped-def]
        for row in range(0, 1 << 20, 100):
            asked.append(row)
            yield Tiles(row, 16, 0, row + row % 7, 32, 0, 1), None

    found = evaluated(NEAR, tiles(), {})
    assert next(found)[0].row == 0
    assert len(asked) * 16 * 32 <= AT_ONCE
