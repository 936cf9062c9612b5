"""The compose engine in boxes of a grid: against the reference in float64, where boxes are cut by the end too."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from beside_reference import agrees
from boxed_grid import WIDTH, pattern, program

import patternc as pc
from patternc.compiler import bruteforce
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.lengths.trim import milestone
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import forget, routes, shortened
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


@pytest.mark.parametrize(("rows", "offset"), [(300, 0), (1, 299), (70, 130)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_outputs_and_gradients_are_those_of_the_reference(direction: str, rows: int, offset: int) -> None:
    agrees(pattern(direction), program(direction), 300, rows, Call(SCALE, query_offset=offset))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_longer_plan_is_cut_where_the_last_boxes_miss_tokens(direction: str) -> None:
    """By brute force, at the ends of cells, rows and boxes and between them, from one plan."""
    bound, price = pattern(direction).bound, Price(PLAIN, Heads(1, 2, 1, 16), 2)
    longer = next(routes(program(direction), 640, 640, price, torch.float32))
    for n in (*range(1, 70, 9), 255, 256, 257, *range(440, 520, 7), 512, 513, 576, 639):
        assert milestone(program(direction), n, n) > n or n % 32 == 0
        wanted = bruteforce.mask(bound.union, bound.direction, n)
        found = shortened(longer, n, price)
        assert found is not None and np.array_equal(batch_counts(found.stages, n, n), wanted), n


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_lengths_in_any_order_are_those_of_dense_attention(direction: str) -> None:
    """Outputs and gradients, beside a softmax in float64 under a mask that is written here."""
    subject = pc.compile(pattern(direction), head_dim=8, engine="compose")
    for n in np.random.default_rng(3).permutation([1, 63, 65, 199, 250, 256, 301, 333, 509, 512, 515, 600]).tolist():
        y, x = np.divmod(np.arange(n), WIDTH)
        near = (abs(y[:, None] - y) <= 2) & (abs(x[:, None] - x) <= 2)
        kept = torch.from_numpy(np.tril(near) if direction == "causal" else near)
        torch.manual_seed(n)
        inputs, weight = torch.randn(3, 1, 2, n, 8).double(), torch.randn(1, 2, n, 8).double()
        q, k, v = leaves = [each.clone().requires_grad_() for each in inputs]
        out = (q @ k.transpose(-1, -2) / math.sqrt(8)).masked_fill(~kept, -math.inf).softmax(-1) @ v
        wanted = [out, *torch.autograd.grad(out, leaves, weight)]
        leaves = [each.float().requires_grad_() for each in inputs]
        out = subject(*leaves)
        for one, other in zip([out, *torch.autograd.grad(out, leaves, weight.float())], wanted, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=0, atol=2e-5)


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
