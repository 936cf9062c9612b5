"""Which rows have their keys shared out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from patternc.compiler.kernels import stretches
from patternc.compiler.kernels import work as work_module
from patternc.compiler.kernels.launch import Role
from patternc.compiler.kernels.work import ALL, WHOLE, Split, kernel_of, split, swept_tiles, window
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.count import bounds
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


def counted_one_by_one(found: Program, role: Role, index: int, n: int, queries: tuple[int, int]) -> np.ndarray:
    """From the ends of the ranges of each tile alone."""
    kernel, held = kernel_of(found, role, index)
    keys_stand = role == "backward_key"
    whole = Tile(found.tile.query, held) if keys_stand else Tile(held, found.tile.key)
    swept = np.zeros(-(-kernel.order.ranks(0, n) // held), dtype=np.int64)
    for sweep in kernel.sweeps:
        term, tile = found.terms[sweep.term], found.tile_of(sweep)
        order, size = (term.query, tile.query) if keys_stand else (term.key, tile.key)
        turned = [(term.turn.factor * cls + term.turn.shift) % term.key.classes for cls in range(term.query.classes)]
        others = -(-order.ranks(turned.index(0) if keys_stand else turned[0], n) // size)
        rows = range(*window(order, size, queries[1] - queries[0], queries[0], n)) if keys_stand else range(others)
        for span in sweep.ranges:
            cost = tile.diagonal if span.diagonal else tile.price / whole.price
            for lo, hi in bounds(span, len(swept), 0, others, n, "J" if keys_stand else "I").values():
                for at in range(len(swept)):
                    tiles = range(int(lo[at]), int(hi[at]))
                    if not span.diagonal:
                        tiles = range(max(tiles.start, rows.start), min(tiles.stop, rows.stop))
                    swept[at] += math.ceil(len(tiles) * cost)
    return swept


MANY = {
    "window": "local(20)",
    "causal": "everything",
    "blocks": "block(24) | columns(first(4)) | rows({ 40..42 })",
    "short period": "{ (i, j) : i div 48 = j div 48 or j mod 96 >= 90 }",
    "last": "local(9) | columns(last(5)) | rows(last(40))",
    "half": "{ (i, j) : 2 * j <= n and -50 < i - j < 50 or i = j }",
    "diagonals": "{ (i, j) : i = j or exists k in 0..6 : i - j = 2^k }",
    "butterfly": "blocks({ (i, j) : i div 8 = j div 8 and (i mod 4 = j mod 4 or i = j) }, 16)",
    "residues": "local(16) | strided(16)",
    "grid": "{ (i, j) : -2 < i div 80 - j div 80 < 2 and -9 < i mod 80 - j mod 80 < 9 }",
}


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("name", MANY)
def test_stretches_of_tiles_are_counted_as_one_by_one(
    name: str, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of stretches as short as these are cut from few tiles on."""
    found = program(MANY[name], direction)
    shortened: list[int] = []

    def noted(*given: Any) -> Any:
        shortened.append(1)
        return uneven(*given)

    uneven = stretches._uneven
    monkeypatch.setattr(stretches, "_uneven", noted)
    monkeypatch.setattr(stretches, "PARTS", 4)
    monkeypatch.setattr(stretches, "FARTHER", 3)
    for module in (work_module, stretches):
        monkeypatch.setattr(module, "FEW", 8)
        monkeypatch.setattr(module, "FEW_OF_FANS", 8)
    roles: dict[Role, int] = {"forward": len(found.forward), "backward_key": len(found.backward)}
    for n in (1, 640, 2611):
        for role, count in roles.items():
            for index in range(count):
                for queries in [(0, n)] if role == "forward" else [(0, n), (n // 3, n // 2)]:
                    wanted = counted_one_by_one(found, role, index, n, queries)
                    assert np.array_equal(swept_tiles(found, role, index, n, n, queries), wanted), (n, role, index)
    assert shortened


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
