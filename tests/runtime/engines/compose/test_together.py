"""Blocks that look alike as one batch: the pairs are the same, each once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from patternc.compiler.passes.program import NATURAL
from patternc.runtime.engines.compose.plan.block import Block
from patternc.runtime.engines.compose.plan.place import Side
from patternc.runtime.engines.compose.plan.stage import Batch, Stage
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.planning.together import LARGEST, together
from patternc.testing.verify.batches import batch_counts

N = 400
ONE = Block(0, 0, 1, Tiles(0, 16, 0, 0, 24, 0, 1))


def at(row: int, key: int, mask: object = None, **others: int) -> Block:
    tiles = replace(ONE.tiles, row=row, key=key, **others)
    return replace(ONE, tiles=tiles, mask=mask)  # type: ignore[arg-type]


def counts(blocks: Iterable[Block]) -> np.ndarray:  # type: ignore[type-arg]
    batches = tuple(Batch(block, False, None) for block in blocks)
    return batch_counts((Stage(Side(NATURAL, N), Side(NATURAL, N), batches),), N, N)


@pytest.mark.parametrize("seed", range(40))
def test_the_pairs_are_the_same_and_no_batch_has_a_row_twice(seed: int) -> None:
    draw = np.random.default_rng(seed)
    masks = [None, *(draw.random((16, 24)) < 0.5 for _ in range(2))]
    blocks, number = [], 0
    for row in sorted(draw.choice(range(0, N - 120, 8), 14, replace=False).tolist()):
        mask = masks[int(draw.integers(3))]
        step = {"row_step": 16, "key_step": int(draw.integers(2)) * 8, "count": int(draw.integers(1, 4))}
        blocks.append(at(row, int(draw.integers(12)) * 8, mask, **(step if draw.random() < 0.4 else {})))
    found = together(blocks)
    assert np.array_equal(counts(found), counts(blocks))
    for block in found:
        number += block.tiles.count
        assert block.tiles.count == 1 or block.tiles.row_step >= block.tiles.rows
        assert block.tiles.count == 1 or block.tiles.key_step >= 0
    assert number == sum(block.tiles.count for block in blocks)


def test_equal_masks_that_are_evenly_spaced_are_one_batch_whatever_is_between() -> None:
    mask = np.tri(16, 24, dtype=np.bool_)
    blocks = [each for t in range(5) for each in (at(40 * t, 30 * t, mask.copy()), at(40 * t, 30 * t + 200, ~mask))]
    found = together(blocks)
    assert [block.tiles for block in found] == [
        Tiles(0, 16, 40, 0, 24, 30, 5),
        Tiles(0, 16, 40, 200, 24, 30, 5),
    ]
    assert found[0].mask is not None and np.array_equal(found[0].mask, mask)


def test_runs_go_on_with_runs() -> None:
    run = {"row_step": 32, "key_step": 8}
    assert [block.tiles for block in together([at(0, 0, count=3, **run), at(96, 24), at(128, 32, count=2, **run)])] == [
        Tiles(0, 16, 32, 0, 24, 8, 6)
    ]


@pytest.mark.parametrize(
    "other",
    [
        at(8, 0),  # has rows of the first
        at(16, 0, np.tri(16, 24, dtype=np.bool_)),
        replace(at(16, 0), triangle=True),
        replace(at(16, 0), first_class=1),
        at(16, 20, keys=16),
        at(16, 2),  # of whose keys nearly all are those of the first
    ],
    ids=["rows", "mask", "triangle", "class", "shape", "keys"],
)
def test_others_stay_apart(other: Block) -> None:
    assert together([at(0, 0), other]) == [at(0, 0), other]


def test_keys_do_not_go_back_and_what_grows_or_is_large_is_left_alone() -> None:
    assert len(together([at(0, 100), at(16, 50)])) == 2
    growing = [replace(one, tiles=replace(one.tiles, growth=8)) for one in (at(16 * t, 0) for t in range(3))]
    assert together(growing) == growing
    large = np.ones((LARGEST // 64, 65), dtype=np.bool_)
    tall = [at(len(large) * t, 0, large, rows=len(large), keys=65) for t in range(2)]
    assert len(together(tall)) == 2
