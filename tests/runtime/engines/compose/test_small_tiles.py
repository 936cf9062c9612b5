"""Programs in small tiles, which compose runs in blocks of several: each pair is held once, whatever is predicted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import read
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program, Tile
from patternc.runtime.engines.compose.planning.blocks import blocks
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.pricing.rates import Machine
from patternc.runtime.engines.compose.routes import routes
from patternc.testing.machines import PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

HEADS = Heads(batch=1, keys=2, group=1, dim=8)
CASES = {
    "blocks and columns": ("bidirectional", "blocks(local(2) | global(first(1)), 16)", 16),
    "windows and a column": ("bidirectional", "block(64) | columns(first(16))", 64),
    "back and forth": ("bidirectional", "{ (i, j) : i div 128 = j div 128 and i div 64 != j div 64 }", 64),
    "in every row": ("causal", "{ (i, j) : i mod 256 = j mod 256 or i div 16 = j div 16 }", 16),
    "ramp": ("causal", "{ (i, j) : j div 16 >= i div 16 - (i div 16) mod 20 }", 16),
}


def case(name: str) -> tuple[pc.BoundPattern, Program]:
    direction, step, side = CASES[name]
    bound = pc.loads(f"pattern p {direction} {{ step {step} }}")["p"].bound
    return bound, lower(bound.union, bound.direction, "p", Tile(side, side)).program


@pytest.mark.parametrize("machine", [PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=lambda machine: machine.name)
@pytest.mark.parametrize("n", [65, 1500])
@pytest.mark.parametrize("name", CASES)
def test_blocks_hold_each_pair_once(name: str, n: int, machine: Machine) -> None:
    bound, program = case(name)
    expected = bruteforce.mask(bound.union, bound.direction, n)
    for one in (program, read(emit(program))):  # where every tile is full, no mask is written
        for backward in (False, True):
            for route in routes(one, n, n, Price(machine, HEADS, 1, backward), torch.float32):
                assert np.array_equal(batch_counts(route.stages, n, n), expected.astype(int)), route.name


def test_no_batch_of_blocks_goes_back() -> None:
    """Its keys would be a view with a negative stride, which torch has not."""
    _, program = case("back and forth")
    [sweep] = program.forward[0].sweeps
    found = blocks(program, sweep, 1024, 1024, Price(SLOW_TO_MULTIPLY, HEADS, 1))
    assert sum(block.tiles.pairs for block in found) == 1024 * 64
    assert all(block.tiles.key_step >= 0 for block in found)


def test_several_small_tiles_are_one_block_where_a_block_is_dear() -> None:
    bound, program = case("blocks and columns")
    n, dear = 1024, PLAIN.forward._replace(groups=1.0)
    few, exact = (
        [
            block
            for sweep in program.forward[0].sweeps
            for block in blocks(program, sweep, n, n, Price(machine, HEADS, 1))
        ]
        for machine in (Machine("blocks are dear", dear, dear, 0.0), SLOW_TO_MULTIPLY)
    )
    pairs = int(bruteforce.mask(bound.union, bound.direction, n).sum())
    assert sum(block.tiles.pairs for block in exact) == pairs < sum(block.tiles.pairs for block in few)
    assert sum(block.tiles.count for block in few) < sum(block.tiles.count for block in exact)


def test_ranges_with_a_gap_are_blocks_of_their_own() -> None:
    """In one, the keys between would be computed for nothing."""
    _, program = case("windows and a column")
    n = 4096
    pairs = sum(
        block.classes * block.tiles.pairs
        for kernel in program.forward
        for sweep in kernel.sweeps
        for block in blocks(program, sweep, n, n, Price(PLAIN, HEADS, 1))
    )
    assert pairs == n * 64 + (n - 64) * 16
