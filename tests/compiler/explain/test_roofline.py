"""The arithmetic of a GPU's time, with numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

import patternc as pc
from patternc.compiler.explain.cost import Cost, Share, cost
from patternc.compiler.explain.roofline import (
    ACCELERATORS,
    BASIS,
    DENSE_BACKWARD,
    DENSE_FORWARD,
    FORWARD,
    KEY,
    LAUNCH,
    MASKED,
    QUERY,
    Accelerator,
    roofline,
)
from patternc.compiler.passes.program import TILE, Tile

CARD = Accelerator("a card", flops=1e12, bandwidth=1e9)


def account(*shares: Share, n: int = 1000, tile: Tile = Tile(128, 128)) -> Cost:  # noqa: B008 - frozen
    return Cost(n, 64, tile, shares, 50, 0)


def share(kernel: int, full: int, masked: int, diagonals: int = 0, tile: Tile = TILE) -> Share:
    return Share("a term", 1, "natural / natural", kernel, full, masked, diagonals, tile)


def test_products_take_their_share_of_the_peak() -> None:
    found = roofline(account(share(0, 1000, 500)), replace(CARD, bandwidth=1e18), batch=2, heads=3)
    product = 2 * 128 * 128 * 64 * 6 / 1e12  # seconds of one matrix product of all heads, per tile
    tiles = 1000 + MASKED * 500
    assert found.forward.chosen.seconds == pytest.approx(LAUNCH + 2 * tiles * product / FORWARD.share)
    slopes = 3 * tiles * product / QUERY.share + 4 * tiles * product / KEY.share
    assert found.backward.chosen.seconds == pytest.approx(3 * LAUNCH + slopes)  # and one launch for delta
    assert found.forward.dense == pytest.approx(LAUNCH + 2 * 50 * product / DENSE_FORWARD.share)
    assert found.backward.dense == pytest.approx(LAUNCH + 5 * 50 * product / DENSE_BACKWARD.share)


def test_diagonals_run_on_slower_units() -> None:
    found, tiles = (
        roofline(account(one), replace(CARD, bandwidth=1e18), batch=1, heads=1)
        for one in (share(0, 10, 0, diagonals=128), share(0, 10 + 32, 0))
    )
    assert found.forward.chosen.seconds == pytest.approx(tiles.forward.chosen.seconds)
    assert account(share(0, 10, 0, diagonals=129)).tiles == 10 + 2
    assert account(share(0, 10, 0, diagonals=129)).reads == 139 * 128
    assert account(share(0, 10, 1, tile=Tile(128, 16))).tiles == 2
    assert account(share(0, 10, 1, tile=Tile(128, 16))).reads == 11 * 16


def test_a_score_of_a_small_tile_takes_longer() -> None:
    # Of a diagonal every score takes as long, whatever the tile.
    small, tall, large = (
        roofline(one, replace(CARD, bandwidth=1e18), batch=1, heads=1).forward.chosen.seconds - LAUNCH
        for one in (
            account(share(0, 640, 0, tile=Tile(16, 16)), tile=Tile(16, 16)),
            account(share(0, 0, 0, diagonals=80, tile=Tile(16, 16)), tile=Tile(16, 16)),
            account(share(0, 10, 0)),
        )
    )
    assert small == pytest.approx(640 * (4 / 64) * large / 10)
    assert tall == pytest.approx(32 * 80 * 16 / 128**2 * large / 10)


def test_memory_traffic_is_not_hidden() -> None:
    found = roofline(account(share(0, 1, 0), share(1, 1, 0)), replace(CARD, flops=1e18), batch=1, heads=1)
    tensor = 2 * 1000 * 64 / 1e9
    assert found.forward.chosen.seconds == pytest.approx(2 * (LAUNCH + 4 * tensor))
    assert found.backward.chosen.seconds == pytest.approx(5 * LAUNCH + 2 * (5 + 6) * tensor + 2 * tensor)


def test_it_says_that_nothing_was_measured() -> None:
    pattern = pc.load("library:strided_factorized")["strided_factorized"].bind()
    found = roofline(cost(pattern.bound, 65536, 128), ACCELERATORS["h100"], batch=1, heads=32)
    assert (found.basis, found.dtype, found.length) == (BASIS, "bfloat16", 65536)
    assert 20 < found.forward.speedup < 200
    assert found.forward.dense == pytest.approx(53e-3, rel=0.35)  # what is published of the best dense kernel there


@pytest.mark.parametrize("card", ACCELERATORS.values(), ids=ACCELERATORS)
def test_where_the_pattern_is_everything_dense_is_the_faster_way(card: Accelerator) -> None:
    """What ``auto`` takes there without asking: at every length, both ways, with few heads and with many."""
    for name, parameters in (("dense", {}), ("sliding_window", {"w": 1 << 17}), ("dense_bidirectional", {})):
        pattern = pc.load(f"library:{name}")[name].bind(**parameters)
        for n in (16, 1024, 65536):
            account = cost(pattern.bound, n, 128)
            for heads in (1, 32):
                found = roofline(account, card, batch=1, heads=heads, whole=True)
                for choice in (found.forward, found.backward):
                    ways = {way.name: way.seconds for way in choice.ways}
                    assert list(ways) == (["dense", "triton"] if card.dense else ["triton"])
                    assert choice.dense < ways["triton"] and ways.get("dense", choice.dense) == choice.dense
    assert [way.name for way in roofline(account, card, batch=1, heads=1).forward.ways] == ["triton"]
