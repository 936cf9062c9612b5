"""Tiles of which each has more keys than the one before, or fewer: one batch of a plan, however many they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from planned import HEADS, program

import patternc as pc
from patternc.compiler import bruteforce
from patternc.runtime.engines.compose.lengths.left import left_of
from patternc.runtime.engines.compose.plan.effort import Effort
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import find_route, routes, shortened
from patternc.testing.machines import PLAIN
from patternc.testing.verify.batches import batch_counts

pytestmark = pytest.mark.usefixtures("forgotten")

SIDE = 80

TEXTS = {
    "grows": "pattern p causal { step block(16) | fixed(16, 4) }",
    "grows by more": "pattern p causal { step block(64) | fixed(64, 16) }",
}
SHRINKS = "pattern p bidirectional { step block(16) | { (i, j) : j mod 16 >= 12 } }"


def pairs(tiles: Tiles) -> NDArray[np.int64]:
    """[SIDE, SIDE]: how many of the tiles hold each pair."""
    held = np.zeros((SIDE, SIDE), dtype=np.int64)
    for tile in range(tiles.count):
        row, key = tiles.row + tile * tiles.row_step, tiles.key + tile * tiles.key_step
        held[row : row + tiles.rows, key : key + tiles.keys + tile * tiles.growth] += 1
    return held


@st.composite
def runs(draw: st.DrawFn) -> Tiles:
    """Tiles within SIDE queries and keys, each with a key."""
    count, rows, keys = draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(st.integers(1, 20))
    row_step, key_step = draw(st.sampled_from([0, rows, rows + 2])), draw(st.integers(0, 4))
    growth = draw(st.integers(-4, 4)) if row_step and count > 1 else 0
    growth = max(growth, -((keys - 1) // max(1, count - 1)))
    return Tiles(draw(st.integers(0, 10)), rows, row_step, draw(st.integers(0, 10)), keys, key_step, count, growth)


@given(runs(), st.integers(0, SIDE), st.integers(0, SIDE))
def test_what_is_left_are_the_pairs_that_exist(tiles: Tiles, rows: int, keys: int) -> None:
    wanted = pairs(tiles)
    wanted[rows:], wanted[:, keys:] = 0, 0
    left = list(left_of(tiles, rows, keys))
    assert np.array_equal(sum(map(pairs, left), np.zeros_like(wanted)), wanted)
    assert all(each.keys + tile * each.growth > 0 for each in left for tile in range(each.count))


@given(runs())
def test_ends_parts_and_pairs(tiles: Tiles) -> None:
    held = pairs(tiles)
    ranks = [np.flatnonzero(held.any(axis=axis)) for axis in (1, 0)]
    assert tiles.begins == tuple(each[0] for each in ranks) and tiles.ends == tuple(each[-1] + 1 for each in ranks)
    assert tiles.pairs == held.sum()
    assert np.array_equal(sum(map(pairs, tiles.even()), np.zeros_like(held)), held)
    first = tiles.count // 2
    parts = tiles.part(0, first), tiles.part(first, tiles.count - first)
    assert np.array_equal(pairs(parts[0]) + pairs(parts[1]), held)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("tiles", [Tiles(0, 256, 256, 0, 300, 0, 7, 513), Tiles(0, 40, 40, 9, 9000, 9, 300, -30)])
def test_what_they_ask_for_is_what_each_asks_for(tiles: Tiles, backward: bool) -> None:
    price = Price(PLAIN, Heads(batch=2, keys=2, group=2, dim=16), 3, backward)
    for fresh in (False, True):
        each = Effort.total(price.tiles(one, 3, fresh=fresh) for one in tiles.even())
        assert price.tiles(tiles, 3, fresh=fresh) == pytest.approx(each)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_plans_hold_each_pair_once_at_every_length(text: str) -> None:
    bound, price = pc.loads(text)["p"].bind().bound, Price(PLAIN, HEADS, 1)
    [longer] = (each for each in routes(program(text), 2048, 2048, price, torch.float32) if each.name == "arranged")
    for n in (2048, 2047, 2033, 1985, 1900):
        route = longer if n == 2048 else shortened(longer, n, price)
        assert route is not None
        assert any(batch.block.tiles.growth for stage in route.stages for batch in stage.batches)
        assert np.array_equal(batch_counts(route.stages, n, n), bruteforce.mask(bound.union, bound.direction, n))


@pytest.mark.parametrize("text", [*TEXTS.values(), SHRINKS], ids=[*TEXTS, "shrinks"])
def test_a_longer_sequence_has_hardly_more_batches(text: str) -> None:
    price, many = Price(PLAIN, HEADS, 1), []
    for n in (1 << 15, 1 << 18):
        route = find_route(program(text), n, n, price, torch.float32)
        many.append(sum(len(stage.batches) for stage in route.stages))
    assert many[1] <= many[0] + 4
