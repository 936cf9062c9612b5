"""Plans of tiles that come again after more of them than bands look at: each pair is held once, and a longer sequence
has hardly more batches."""

from __future__ import annotations

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
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.planning.repeats import Part, again
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.pricing.rates import Machine
from patternc.runtime.engines.compose.routes import routes
from patternc.runtime.engines.engine import Call
from patternc.testing.machines import PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

FRAME = 51
PERIOD = 16 * FRAME  # 51 tiles of 16
NEAR = f"""
pattern near() bidirectional grid(f, x = {FRAME}) {{
    step {{ (i, j) : -2 <= i.f - j.f <= 2 and -9 <= i.x - j.x <= 9 }} | self
}}
"""


@cache
def case() -> tuple[pc.Pattern, Program]:
    pattern = pc.loads(NEAR)["near"].bind()
    return pattern, lower(pattern.bound.union, pattern.direction, "near", Tile(16, 16)).program


def arranged(n: int, machine: Machine = PLAIN) -> Route:
    found, *_ = routes(case()[1], n, n, Price(machine, Heads(batch=1, keys=2, group=1, dim=8), 1), torch.float32)
    return found


@pytest.mark.parametrize("machine", [PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=lambda one: one.name)
@pytest.mark.parametrize("n", [50, PERIOD, 2 * PERIOD + 17, 3 * PERIOD, 3 * PERIOD + 801, 5 * PERIOD - 3])
def test_each_pair_is_held_once(n: int, machine: Machine) -> None:
    pattern, _ = case()
    wanted = bruteforce.mask(pattern.bound.union, pattern.bound.direction, n)
    assert np.array_equal(batch_counts(arranged(n, machine).stages, n, n), wanted)


def test_a_longer_sequence_has_hardly_more_batches() -> None:
    few, many = (sum(len(stage.batches) for stage in arranged(periods * PERIOD).stages) for periods in (60, 240))
    assert many < 1.5 * few


def test_outputs_and_gradients_are_those_of_the_reference() -> None:
    pattern, program = case()
    agrees(pattern, program, 3 * PERIOD + 5, 3 * PERIOD + 5, Call(0.3))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_run_comes_again_in_every_period(count: int) -> None:
    run = Tiles(row=5, rows=4, row_step=4, key=9, keys=6, key_step=2, count=count)
    part = Part(reach=None, every=100, times=4)  # type: ignore[arg-type]  # of which nothing is asked
    found = [
        (one.row + t * one.row_step, one.key + t * one.key_step, one.rows, one.keys)
        for one in again(run, part)
        for t in range(one.count)
    ]
    wanted = [(5 + 4 * t + 100 * time, 9 + 2 * t + 100 * time, 4, 6) for t in range(count) for time in range(4)]
    assert sorted(found) == sorted(wanted)
