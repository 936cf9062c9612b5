"""Which rows have their keys shared out."""

from __future__ import annotations

import numpy as np
import pytest

from patternc.compiler.kernels.work import ALL, WHOLE, Split, split, swept_tiles, window
from patternc.compiler.lower import lower
from patternc.compiler.passes.program import NATURAL, Order, Program, Tile
from patternc.compiler.pattern import loads
from patternc.testing.verify.program import pair_counts

TILE = Tile(16, 16)


def program(text: str, direction: str = "causal") -> Program:
    bound = loads(f"pattern p {direction} {{ step {text} }}")["p"].bound
    return lower(bound.union, bound.direction, "p", TILE).program


@pytest.mark.parametrize("text", ["local(20)", "block(24)", "local(20) | columns(first(4)) | rows({ 40..42 })"])
@pytest.mark.parametrize("n", [1, 16, 100])
def test_tiles_are_counted_as_the_kernels_visit_them(text: str, n: int) -> None:
    found = program(text)
    size = -(-n // 16) * 16
    wanted = np.zeros((size, size), dtype=np.int64)
    wanted[:n, :n] = pair_counts(found, "forward", n)
    touched = wanted.reshape(size // 16, 16, size // 16, 16).any(axis=(1, 3)).sum(axis=1)
    swept = sum(swept_tiles(found, "forward", index, n, n) for index in range(len(found.forward)))
    assert len(found.forward) == 1
    assert (swept >= touched).all()
    assert swept.sum() <= 2 * touched.sum() + 2


def test_a_window_of_rows() -> None:
    assert window(NATURAL, 16, 1, 100, 101) == (6, 7)
    assert window(NATURAL, 16, 101, 0, 101) == (0, 7)
    assert window(Order(4, 1, 0, 4), 16, 8, 120, 128) == (1, 2)


def test_tiles_of_keys_are_counted_as_the_kernels_visit_them() -> None:
    found, n = program("local(20) | columns(first(4))"), 100
    size = -(-n // 16) * 16
    wanted = np.zeros((size, size), dtype=np.int64)
    wanted[:n, :n] = pair_counts(found, "backward", n)
    touched = wanted.reshape(size // 16, 16, size // 16, 16).any(axis=(1, 3)).sum(axis=0)
    swept = sum(swept_tiles(found, "backward_key", index, n, n) for index in range(len(found.backward)))
    assert (swept >= touched).all() and swept.sum() <= 2 * touched.sum() + 2
    few = sum(swept_tiles(found, "backward_key", index, n, n, (96, 97)) for index in range(len(found.backward)))
    assert few.sum() <= 4 and few[0] >= 1 and few[2] == 0  # one row: its window, and the first keys


def one_of(work: np.ndarray, first: int, heads: int, turn: int = 1) -> Split:
    """Of a launch with one block per tile, on 132 processors."""
    return split(work, first, heads, turn, 132)


def test_even_work_is_not_split() -> None:
    assert one_of(np.full(64, 10), 0, 32, 8) == WHOLE
    assert one_of(np.arange(1, 513), 0, 32) == WHOLE  # causal and dense
    assert one_of(np.array([], dtype=np.int64), 0, 32) == WHOLE


def test_few_rows_are_split_whole() -> None:
    found = one_of(np.array([512]), 511, 8, 8)
    assert (found.lo, found.hi) == (0, ALL)
    assert 8 <= found.shares <= 64
    assert one_of(np.array([512]), 511, 512, 512) == WHOLE  # enough sequences and heads
    assert one_of(np.array([3]), 2, 8, 8) == WHOLE  # too few keys


def test_heavy_rows_are_split_alone() -> None:
    work = np.full(512, 5)
    work[:2] = 512
    assert one_of(work, 0, 4, 4).shares == 4
    many = one_of(work, 0, 256)  # of all that the other rows of many heads take a heavy one takes little
    assert many == WHOLE
    work = np.roll(work, 100)
    found = one_of(work, 1000, 4)
    assert (found.lo, found.hi) == (1100, 1102)
    assert found.shares > 2


def test_heavy_rows_at_both_ends_are_one_split() -> None:
    work = np.full(512, 5)
    work[[0, 1, 511]] = 512
    found = one_of(work, 0, 4)
    assert (found.lo, found.hi) == (511, 2) and found.tiles(512) == 3
    assert one_of(np.roll(work, 1), 0, 4).tiles(512) == 3  # all at the front
    assert one_of(np.roll(work, -2), 0, 4).lo == 509 and one_of(np.roll(work, -2), 0, 4).hi == 512


def test_a_tile_of_the_last_head_is_split_where_it_would_end_late() -> None:
    work = np.full(1024, 5)
    work[[0, 1023]] = 1024  # of 32 heads that start one after the other: more than all heads take in a sixteenth
    found = one_of(work, 0, 32)
    assert (found.lo, found.hi) == (1023, 1) and 8 <= found.shares <= 64


def test_global_rows_of_a_long_sequence() -> None:
    found = program("local(16) | rows(first(3)) | columns(first(3))", "bidirectional")
    work = swept_tiles(found, "forward", 0, 16 * 4096, 16 * 4096)
    # The rows sweep all tiles, and the window, a term of its own, two of these once more.
    assert work[0] == 4098 and work[1:].max() <= 5
    one = one_of(work, 0, 4, 4)
    assert (one.lo, one.hi) == (0, 1) and one.shares > 4
