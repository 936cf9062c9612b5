"""The compose engine in boxes of a grid: against the reference in float64, where boxes are cut by the end too."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from beside_reference import agrees
from boxed_grid import pattern, program

from patternc.compiler import bruteforce
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.lengths.trim import milestone
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import forget, routes
from patternc.runtime.engines.engine import Call
from patternc.testing.machines import PLAIN, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

DIRECTIONS = ["causal", "bidirectional"]
SCALE = 0.3


@pytest.fixture(autouse=True)
def arranged() -> Iterator[None]:
    forget()
    with assume(SLOW_TO_MULTIPLY):
        yield
    forget()


@pytest.mark.parametrize("n", [1, 65, 256, 300, 517])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_batches_hold_each_pair_once(direction: str, n: int) -> None:
    bound = pattern(direction).bound
    wanted = bruteforce.mask(bound.union, bound.direction, n)
    for route in routes(program(direction), n, n, Price(PLAIN, Heads(1, 2, 1, 16), 2), torch.float32):
        assert np.array_equal(batch_counts(route.stages, n, n), wanted), route.name


def test_each_length_is_planned() -> None:
    """The tokens that are missing from the last boxes are those of this length."""
    assert milestone(program("causal"), 517, 517) == 517


@pytest.mark.parametrize(("rows", "offset"), [(300, 0), (1, 299), (70, 130)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_outputs_and_gradients_are_those_of_the_reference(direction: str, rows: int, offset: int) -> None:
    agrees(pattern(direction), program(direction), 300, rows, Call(SCALE, query_offset=offset))


def test_a_bad_number_in_a_box_stays_with_its_window() -> None:
    n, token = 300, 133
    q, k, v = torch.randn(3, 1, 1, n, 16)
    clean, _ = ComposeEngine().forward(program("bidirectional"), q, k, v, Call(SCALE))
    k[0, 0, token, 3] = math.nan
    out, _ = ComposeEngine().forward(program("bidirectional"), q, k, v, Call(SCALE))
    spoiled = torch.from_numpy(bruteforce.mask(*_meaning(), n)[:, token])
    assert torch.equal(~out[0, 0].isfinite().all(-1), spoiled)
    torch.testing.assert_close(out[0, 0, ~spoiled], clean[0, 0, ~spoiled])


def _meaning() -> tuple[object, object]:
    bound = pattern("bidirectional").bound
    return bound.union, bound.direction
