"""The tile of a program: smaller where that is clearly cheaper, and the same pairs whatever it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.explain import explain
from patternc.compiler.kernels.read.program import read
from patternc.compiler.lowering import lower
from patternc.compiler.passes.program import TILE, Program, Tile
from patternc.compiler.passes.sizes import CLEAR, MOST_WASTE, sizes
from patternc.compiler.passes.split import split
from patternc.compiler.relations.isl.context import BudgetExceeded
from patternc.compiler.report.explanation import text
from patternc.testing.verify.program import pair_counts

WINDOW, WIDE = "local(32)", "local(1000)"
NARROW = {
    "window": ("causal", WINDOW, 32),
    "blocks": ("bidirectional", "block(16)", 16),
    "wider blocks": ("bidirectional", "block(32)", 32),
    "window and columns": ("causal", "local(32) | columns(first(4))", 32),
    "far blocks": ("causal", "{ (i, j) : i div 16 = j div 16 + 64 }", 16),
}


def bound_of(direction: str, step: str) -> pc.BoundPattern:
    return pc.loads(f"pattern p {direction} {{ step {step} }}")["p"].bound


def lowered(direction: str, step: str, tile: Tile | None = None) -> lower.Lowered:
    bound = bound_of(direction, step)
    return lower.lower(bound.union, bound.direction, "p", tile)


@pytest.mark.parametrize("name", NARROW)
def test_what_wastes_most_of_a_large_tile_has_a_small_one(name: str) -> None:
    direction, step, side = NARROW[name]
    found, large = lowered(direction, step), lowered(direction, step, TILE)
    assert found.program.tile == read(found.source).tile == Tile(side, side)
    taken, *others = found.sizes
    assert TILE in {one.tile for one in others}
    for one in others:  # of equal prices, nearly, the fewest scores
        assert taken.price <= one.price or taken.tiles * side**2 < one.tiles * one.tile.pairs
        assert CLEAR * taken.price <= one.price
    assert large.sizes[0].price == next(one.price for one in others if one.tile == TILE)
    assert taken.price <= CLEAR * large.sizes[0].price


@pytest.mark.parametrize(
    ("direction", "step"),
    [("causal", WIDE), ("causal", "everything"), ("causal", "local(600) | strided(8)"), ("cross", "everything"),
     ("causal", "self - local(1)"), ("causal", "local(7)")],
)  # fmt: skip
def test_what_wastes_little_is_tried_in_large_tiles_alone(direction: str, step: str) -> None:
    found = lowered(direction, step)
    assert [one.tile for one in found.sizes] == [TILE] and found.program.tile == TILE


def test_a_stated_tile_is_the_one() -> None:
    found = lowered("causal", WINDOW, Tile(64, 128))
    assert [one.tile for one in found.sizes] == [Tile(64, 128)] == [found.program.tile]


@pytest.mark.parametrize("name", NARROW)
def test_every_pair_is_visited_once(name: str) -> None:
    direction, step, _ = NARROW[name]
    bound, program = bound_of(direction, step), lowered(direction, step).program
    for n in (1, 15, 130, 1100):
        wanted = bruteforce.mask(bound.union, bound.direction, n)
        for side in ("forward", "backward"):
            assert np.array_equal(pair_counts(program, side, n), wanted), (n, side)


def test_a_wasteful_program_keeps_to_large_tiles_where_smaller_ones_are_no_cheaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("patternc.compiler.passes.program._PAIR", {16: 4.0, 32: 2.0, 64: 1.4})
    bound = bound_of("causal", "local(300)")
    first, *others = sizes(split(bound.union, bound.direction))
    assert first.tile == TILE and others
    assert all(one.price > CLEAR * first.price for one in others)


def test_the_next_tile_is_taken_where_one_is_too_hard_to_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    right, seen = lower.confirm, list[Tile]()

    def hard(source: str, meaning: Any) -> Program:
        seen.append(read(source).tile)
        if seen[-1] != TILE:
            raise BudgetExceeded("a test")
        return right(source, meaning)

    monkeypatch.setattr(lower, "confirm", hard)
    found = lowered("causal", WINDOW)
    assert found.program.tile == seen[-1] == TILE and len(seen) > 1
    assert {one.tile for one in found.sizes} >= set(seen)

    def never(*_: Any) -> None:
        raise BudgetExceeded("a test")

    monkeypatch.setattr(lower, "confirm", never)
    with pytest.raises(pc.PatternError, match="too complex"):
        lowered("causal", WINDOW)


def test_prices_are_by_the_shorter_side() -> None:
    assert TILE.price == Tile(128, 256).price / 2 == 1
    assert Tile(64, 64).price == pytest.approx(1.05 / 4)
    assert Tile(16, 16).price == pytest.approx(4 / 64)
    assert Tile(64, 16).price == Tile(16, 64).price == pytest.approx(4 / 16)
    # A pair of a diagonal costs as much in every tile.
    for tile in (TILE, Tile(64, 128), Tile(16, 16)):
        assert tile.diagonal * tile.price * TILE.pairs == pytest.approx(32 * tile.query)


def test_explain_tells_the_tiles_that_were_tried() -> None:
    pattern = pc.loads(f"pattern p causal {{ step {WINDOW} }}")["p"]
    account = explain(pattern, 4096)
    assert account.cost is not None and account.cost.tile == Tile(32, 32)
    assert account.cost.tiles == 2 * 128 - 1  # the tile before, and its own
    shown = text(account, lambda words, *_: words)
    assert "tile     32 x 32 (1,023 tiles, price " in shown
    assert "rejected: " in shown and "128 x 128 (255 tiles, price 327)" in shown
    wide = text(explain(pc.loads(f"pattern p causal {{ step {WIDE} }}")["p"], 4096), lambda words, *_: words)
    assert "rejected" not in wide


def test_the_waste_is_what_is_counted() -> None:
    """Of blocks of s on the diagonal a tile of 128 x 128 holds s of 128 pairs."""
    for block in (64, 32):
        bound = bound_of("bidirectional", f"block({block})")
        tried = sizes(split(bound.union, bound.direction))
        assert (len(tried) > 1) == (128 / block > MOST_WASTE)
