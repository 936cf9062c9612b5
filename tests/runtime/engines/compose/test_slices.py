"""Slices of masked blocks hold the pairs of the block, and whole lanes of keys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Tile
from patternc.runtime.engines.compose.plan.tiles import LANES, Mask, Tiles, cut_off, in_lanes
from patternc.runtime.engines.compose.planning.blocks import blocks
from patternc.runtime.engines.compose.planning.slices import quarters, slices
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import routes
from patternc.testing.machines import PLAIN, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

HEADS = Heads(batch=1, keys=2, group=1, dim=16)


def pairs(tiles: Tiles, mask: Mask | None) -> list[tuple[int, int]]:
    kept = np.ones((tiles.rows, tiles.keys), dtype=np.bool_) if mask is None else mask
    return [
        (tiles.row + t * tiles.row_step + int(a), tiles.key + t * tiles.key_step + int(b))
        for t in range(tiles.count)
        for a, b in zip(*np.nonzero(kept), strict=True)
    ]


@pytest.mark.parametrize("rows", [32, 64])
@pytest.mark.parametrize("name", ["triangle", "window", "random", "full below"])
def test_slices_hold_each_pair_once(name: str, rows: int) -> None:
    a, b = np.arange(96)[:, None], np.arange(160)[None, :]
    masks = {
        "triangle": np.broadcast_to(b <= a, (96, 160)),
        "window": (b > a) & (b <= a + 64),
        "random": np.random.default_rng(0).random((96, 160)) < 0.02,
        "full below": np.broadcast_to((a >= 64) & (b < 48), (96, 160)),
    }
    tiles = Tiles(1000, 96, 96, 200, 160, 96, 3)
    found = slices(tiles, masks[name], rows)
    assert found is not None
    every = [pair for part in found for pair in pairs(*part)]
    assert sorted(every) == sorted(pairs(tiles, masks[name]))
    assert all(mask is None or own.keys % LANES == 0 for own, mask in found)


def test_the_slices_of_a_window_are_one_run() -> None:
    a, b = np.arange(128)[:, None], np.arange(256)[None, :]
    tiles, mask = Tiles(128, 128, 128, 0, 256, 128, 5), (b > a) & (b <= a + 128)
    assert slices(tiles, mask, 128) is None
    [(own, kept)] = slices(tiles, mask, 32) or []
    assert own == Tiles(128, 32, 32, 0, 160, 32, 20)
    assert kept is not None and kept.sum() == 32 * 128
    # Where the next tile does not follow the last slice, they are apart.
    assert len(slices(replace(tiles, key_step=64), mask, 32) or []) == 4


def test_keys_are_widened_within_the_tile_alone() -> None:
    assert in_lanes(1, 160, 160) == (0, 160)
    assert in_lanes(0, 5, 40) == (0, 16)
    assert in_lanes(3, 5, 12) == (3, 5)  # there are too few
    cut = cut_off(Tiles(0, 4, 0, 7, 40, 0, 1), np.eye(4, 40, 20, dtype=np.bool_))
    assert cut is not None and (cut[0].key, cut[0].keys) == (7 + 8, 16)


def test_slices_of_a_first_term_need_no_merge() -> None:
    """They lie between each other, and share no row."""
    bound = pc.loads("pattern p causal { step block(128) }")["p"].bound
    program = lower(bound.union, bound.direction, "p", Tile(128, 128)).program
    [found] = [
        r for r in routes(program, 1024, 1024, Price(SLOW_TO_MULTIPLY, HEADS, 1), torch.float32) if r.name == "arranged"
    ]
    batches = [batch for stage in found.stages for batch in stage.batches]
    assert len(batches) == 4 and all(batch.fresh for batch in batches) and found.covers
    assert sum(batch.block.tiles.pairs for batch in batches) == 8 * 32 * (32 + 64 + 96 + 128)


@pytest.mark.parametrize("step", ["columns({ j : j mod 32 >= 28 })", "{ (i, j) : j < n - 40 and j <= i }"])
def test_what_a_group_sees_in_full_is_told_in_lanes(step: str) -> None:
    """Also where the mask speaks of the length."""
    bound, n = pc.loads(f"pattern p causal {{ step {step} }}")["p"].bound, 2300
    program = lower(bound.union, bound.direction, "p", Tile(128, 128)).program
    expected = bruteforce.mask(bound.union, bound.direction, n)
    for machine in (PLAIN, SLOW_TO_MULTIPLY):
        for route in routes(program, n, n, Price(machine, HEADS, 1), torch.float32):
            assert np.array_equal(batch_counts(route.stages, n, n), expected.astype(int)), route.name
        assert [blocks(program, sweep, n, n, Price(machine, HEADS, 1)) for sweep in program.forward[0].sweeps]


QUARTERED = {
    "all but itself": ~np.eye(1024, dtype=np.bool_),
    "triangle": np.tri(1024, dtype=np.bool_),
    "two apart": np.kron(np.eye(2), np.tri(512)).astype(np.bool_),
    "slope": np.arange(512)[None, :] <= np.arange(1024)[:, None] // 2,
}


@pytest.mark.parametrize("name", QUARTERED)
def test_quarters_hold_each_pair_once(name: str) -> None:
    keys = QUARTERED[name].shape[1]
    tiles, times = Tiles(64, 1024, 1024, 0, keys, keys, 2), 0
    for times, found in enumerate(quarters(tiles, QUARTERED[name]), start=1):
        counts = np.zeros((2200, 2200), dtype=np.int8)
        for own, mask in found:
            for t in range(own.count):
                part = own.part(t, 1)
                counts[part.row : part.row + part.rows, part.key : part.key + part.keys] += 1 if mask is None else mask
        wanted = np.zeros_like(counts)
        for t in range(2):
            wanted[64 + 1024 * t :, keys * t :][:1024, :keys] = QUARTERED[name]
        assert np.array_equal(counts, wanted)
        assert sum(mask is not None for _, mask in found) == 1
        assert found[0][0].rows == 1024 >> times
    assert times == 3


def test_masks_that_do_not_decide_along_the_diagonal_alone_have_no_quarters() -> None:
    tiles, mask = Tiles(0, 1024, 0, 0, 1024, 0, 1), ~np.eye(1024, dtype=np.bool_)
    apart = mask.copy()
    apart[0, 700] = False
    uneven = mask.copy()
    uneven[3, 5] = False
    assert not any([*quarters(tiles, apart), *quarters(tiles, uneven)])
    assert not list(quarters(replace(tiles, keys=512), mask[:, :512]))
    assert not list(quarters(replace(tiles, row_step=2048, key_step=1024, count=2), mask))


def test_a_mask_of_all_but_the_query_itself_does_not_grow_where_scores_take_the_time() -> None:
    text = "pattern p bidirectional grid(y, x = 64) { step { (i, j) : i.x = j.x and i != j } }"
    subject = pc.compile(pc.loads(text)["p"].bind(), head_dim=64).program
    assert subject is not None
    price = Price(SLOW_TO_MULTIPLY, HEADS, 2)
    first, *others = [next(routes(subject, n, n, price, torch.float32)).held for n in (1 << 18, 1 << 20, 1 << 21)]
    assert 0 < max(others) <= first
