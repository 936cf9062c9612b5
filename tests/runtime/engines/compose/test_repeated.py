"""Plans of what repeats after several tiles: each pair is held once, and a longer sequence has no more batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from beside_reference import agrees

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program, Tile
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.planning import blocks
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.pricing.rates import Machine
from patternc.runtime.engines.compose.routes import forget, routes
from patternc.runtime.engines.engine import Call
from patternc.testing.machines import PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

MACHINES = pytest.mark.parametrize("machine", [PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=lambda one: one.name)
LENGTHS = {
    "tiles": [33, 1000, 2048, 2400],
    "image": [40, 1000, 1536],
    "butterfly": [300, 1024],
    "columns": [1000, 4416, 4453],
}


@cache
def case(name: str) -> tuple[pc.Pattern, Program]:
    """``tiles``: 16 a plane, each with those around it, shifted inwards at the borders: ranges repeat after a plane.
    ``image``: masks repeat after three tiles. ``butterfly``: tiles of some rows have no range. ``columns``: masks with
    full keys on both sides, as many more and fewer from tile to tile. ``prefix``: a triangle behind full columns."""
    match name:
        case "tiles":
            pattern, side = pc.library.load("sliding_tile")["sliding_tile"].bind(h=4, l=4, b=32), 16
        case "image":
            pattern, side = pc.library.load("image_local")["image_small"].bind(), 32
        case "butterfly":
            pattern, side = pc.library.load("flat_butterfly")["flat_butterfly_causal"].bind(b=16, levels=4), 16
        case "prefix":
            pattern, side = pc.library.load("prefix_lm")["prefix_lm"].bind(p=40), 16
        case _:
            pattern, side = pc.library.load("deepspeed_fixed")["deepspeed_fixed"].bind(), 64
    return pattern, lower(pattern.bound.union, pattern.direction, name, Tile(side, side)).program


def arranged(name: str, n: int, machine: Machine) -> Route:
    found, *_ = routes(case(name)[1], n, n, Price(machine, Heads(batch=1, keys=2, group=1, dim=8), 1), torch.float32)
    return found


@MACHINES
@pytest.mark.parametrize(("name", "n"), [(name, n) for name, lengths in LENGTHS.items() for n in lengths])
def test_each_pair_is_held_once(name: str, n: int, machine: Machine) -> None:
    pattern, _ = case(name)
    wanted = bruteforce.mask(pattern.bound.union, pattern.direction, n)
    assert np.array_equal(batch_counts(arranged(name, n, machine).stages, n, n), wanted)


@MACHINES
@pytest.mark.parametrize("name", ["tiles", "image", "butterfly"])
def test_a_longer_sequence_has_hardly_more_batches(name: str, machine: Machine) -> None:
    # Whole planes, and a whole number of times that all masks repeat after.
    few, many = (
        sum(len(stage.batches) for stage in arranged(name, planes * 1536, machine).stages) for planes in (64, 512)
    )
    assert many < 2 * few


@pytest.mark.parametrize("rows", [(700, 0), (1, 699), (70, 130)])
@pytest.mark.parametrize("name", ["tiles", "image", "butterfly", "columns"])
def test_outputs_and_gradients_are_those_of_the_reference(name: str, rows: tuple[int, int]) -> None:
    pattern, program = case(name)
    agrees(pattern, program, 700, rows[0], Call(0.3, query_offset=rows[1]))


@pytest.fixture
def many_triangles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Squares on the diagonal are left to the kernel from 65 queries on, and no route is kept that was found before."""
    monkeypatch.setattr(blocks, "KEYS_AT_ONCE", 64)
    forget()
    yield
    forget()


@pytest.mark.usefixtures("many_triangles")
@pytest.mark.parametrize("n", [2048, 2100, 2303])
def test_squares_on_the_diagonal_need_no_mask(n: int) -> None:
    """Behind a prefix that all queries see."""
    pattern, program = case("prefix")
    found = arranged("prefix", n, PLAIN)
    triangles = [batch for stage in found.stages for batch in stage.batches if batch.block.triangle]
    assert any(batch.block.tiles.count > 1 for batch in triangles)
    assert all(batch.bias is None and batch.block.mask is None for batch in triangles)
    wanted = bruteforce.mask(pattern.bound.union, pattern.direction, n)
    assert np.array_equal(batch_counts(found.stages, n, n), wanted)
    with assume(PLAIN):
        agrees(pattern, program, n, n, Call(0.3))


def test_large_squares_hold_no_mask() -> None:
    """Of 4,096 queries one would take 64 MB."""
    pattern, _ = case("prefix")
    program = lower(pattern.bound.union, pattern.direction, "prefix", Tile(128, 128)).program
    price = Price(PLAIN, Heads(batch=1, keys=2, group=1, dim=8), 1)
    few, many = (next(routes(program, n, n, price, torch.float32)).held for n in (1 << 17, 1 << 20))
    assert many == few < 8 << 20
