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
    swept = sum(swept_tiles(found, index, n, n) for index in range(len(found.forward)))
    assert len(found.forward) == 1
    assert (swept >= touched).all()
    assert swept.sum() <= 2 * touched.sum() + 2


def test_a_window_of_rows() -> None:
    assert window(NATURAL, 16, 1, 100, 101) == (6, 7)
    assert window(NATURAL, 16, 101, 0, 101) == (0, 7)
    assert window(Order(4, 1, 0, 4), 16, 8, 120, 128) == (1, 2)


def test_even_work_is_not_split() -> None:
    assert split(np.full(64, 10), 0, 32, 132) == WHOLE
    assert split(np.arange(1, 513), 0, 32, 132) == WHOLE  # causal and dense
    assert split(np.array([], dtype=np.int64), 0, 32, 132) == WHOLE


def test_few_rows_are_split_whole() -> None:
    found = split(np.array([512]), 511, 8, 132)
    assert (found.lo, found.hi) == (0, ALL)
    assert 8 <= found.shares <= 64
    assert split(np.array([512]), 511, 512, 132) == WHOLE  # enough sequences and heads
    assert split(np.array([3]), 2, 8, 132) == WHOLE  # too few keys


def test_heavy_rows_are_split_alone() -> None:
    work = np.full(512, 5)
    work[:2] = 512
    assert split(work, 0, 32, 132) == WHOLE  # other rows keep the device busy for longer
    assert split(work, 0, 8, 132) == Split(0, 2, 2)
    work = np.roll(work, 100)
    found = split(work, 1000, 4, 132)
    assert (found.lo, found.hi) == (1100, 1102)
    assert found.shares > 2


def test_global_rows_of_a_long_sequence() -> None:
    found = program("local(16) | rows(first(3)) | columns(first(3))", "bidirectional")
    work = swept_tiles(found, 0, 16 * 4096, 16 * 4096)
    # The rows sweep all tiles, and the window, a term of its own, two of these once more.
    assert work[0] == 4098 and work[1:].max() <= 5
    one = split(work, 0, 4, 132)
    assert (one.lo, one.hi) == (0, 1) and one.shares > 4
