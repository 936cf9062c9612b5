"""The compose engine: its blocks hold each pair once, and its results are those of the reference."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from largest import Largest

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program, Tile
from patternc.runtime.engines.compose import engine as compose
from patternc.runtime.engines.compose import routes as routing
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.planning.blocks import blocks
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import routes
from patternc.runtime.engines.compose.running import stages
from patternc.runtime.engines.engine import Call, Meaning
from patternc.runtime.engines.reference import ReferenceEngine
from patternc.runtime.errors import EngineError
from patternc.testing.machines import PLAIN, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

ENGINE, REFERENCE = ComposeEngine(), ReferenceEngine()
PRICE = Price(PLAIN, Heads(batch=2, keys=2, group=3, dim=8), threads=2)
TILE = Tile(16, 16)

# Every order, and masks that are shared by tiles, differ at a border, or differ in each tile.
EXPRESSIONS = {
    "dense": ("causal", "everything"),
    "everything": ("bidirectional", "everything"),
    "window": ("causal", "local(20)"),
    "strided": ("causal", "local(16) | strided(16)"),
    "shifted": ("bidirectional", "{ (i, j) : (i - j) mod 7 = 3 }"),
    "multiple": ("causal", "{ (i, j) : (i + 2 * j) mod 7 = 3 }"),
    "mirrored": ("bidirectional", "{ (i, j) : (i + j) mod 16 = 5 }"),
    "fixed": ("causal", "block(16) | fixed(16, 4)"),
    "streaming": ("causal", "local(40) | columns(first(3))"),
    "global": ("bidirectional", "local(9) | global(first(1))"),
    "rows": ("bidirectional", "rows({ j : j mod 16 >= 14 })"),
    "both packed": ("bidirectional", "rows({ j : j mod 16 >= 14 }) & columns({ j : j mod 8 > 3 })"),
    "prefix": ("bidirectional", "{ (i, j) : j <= i or j < 20 }"),
    "last": ("bidirectional", "columns(last(4)) | self"),
    "dilated": ("causal", "local(40) & strided(4)"),
    "two residues": ("causal", "{ (i, j) : (i - j) mod 16 = 3 or (i - j) mod 16 = 7 }"),
    "skewed": ("bidirectional", "{ (i, j) : (i + 2 * j) mod 5 = 1 and 3 * j <= 2 * i + 7 }"),
    "half": ("causal", "{ (i, j) : 2 * j <= i }"),
    "block": ("causal", "block(32)"),
    "odd block": ("bidirectional", "block(20)"),
    "summary": ("causal", "local(32) | columns({ j : j mod 32 = 31 })"),
    "ramp": ("causal", "{ (i, j) : j >= i - i mod 300 }"),
    "ring": ("causal", "{ (i, j) : (i - j) mod 64 < 6 }"),  # wide tiles of one row, cut into pieces that look alike
    "power": (  # a range that is full, then empty, then full again
        "causal",
        "{ (i, j) : i div 128 - j div 128 < 2 or j < 128 or exists t in 0..5 : i div 128 - j div 128 = 2^t }",
    ),
    "nothing": ("causal", "self - local(1)"),
}


def _pattern(name: str) -> pc.Pattern:
    direction, expression = EXPRESSIONS[name]
    return pc.loads(f"pattern p {direction} {{ step {expression} }}")["p"]


@cache
def _program(name: str, tile: Tile = TILE) -> Program:
    pattern = _pattern(name)
    return lower(pattern.bound.union, pattern.direction, name, tile).program


@pytest.mark.parametrize("n", [1, 17, 129, 1000])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_blocks_hold_each_pair_once(name: str, n: int) -> None:
    pattern = _pattern(name)
    expected = bruteforce.mask(pattern.bound.union, pattern.direction, n)
    for route in routes(_program(name), n, n, PRICE, torch.float32):
        assert np.array_equal(batch_counts(route.stages, n, n), expected.astype(int)), route.name


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_wide_blocks_hold_each_pair_once(name: str) -> None:
    pattern, n = _pattern(name), 2200
    expected = bruteforce.mask(pattern.bound.union, pattern.direction, n)
    for route in routes(_program(name, Tile(128, 128)), n, n, PRICE, torch.float32):
        assert np.array_equal(batch_counts(route.stages, n, n), expected.astype(int)), route.name


@pytest.fixture(params=["arranged", "strips"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The route that is taken, whatever is predicted."""

    def only(*arguments: Any) -> Route:
        [found] = [route for route in routes(*arguments) if route.name == request.param]
        return found

    monkeypatch.setattr(compose, "find_route", only)
    return str(request.param)


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize(("heads", "kv_heads"), [(6, 2), (2, 2)])
@pytest.mark.parametrize("n", [1, 33, 200])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_forward_and_backward_equal_the_reference(name: str, n: int, heads: int, kv_heads: int) -> None:
    pattern, program = _pattern(name), _program(name, Tile(32, 16))
    q, grad = torch.randn(2, 2, heads, n, 8)
    # Keys and values as a model projects them: heads behind tokens in memory.
    k, v = torch.randn(2, 2, n, kv_heads, 8).transpose(2, 3)
    grad_lse = torch.randn(2, heads, n)
    where = Call(0.3)
    out, lse = ENGINE.forward(program, q, k, v, where)
    double = [x.double() for x in (q, k, v)]
    meaning = Meaning(pattern.bound.union, pattern.direction)
    expected, expected_lse = REFERENCE.forward(meaning, *double, where)
    torch.testing.assert_close(out, expected.float(), atol=2e-5, rtol=0)
    torch.testing.assert_close(lse, expected_lse.float(), atol=2e-5, rtol=0)
    grad_lse = grad_lse.masked_fill(lse == -math.inf, 0.0)
    grads = ENGINE.backward(program, grad, grad_lse, q, k, v, out, lse, where)
    exact = REFERENCE.backward(meaning, grad.double(), grad_lse.double(), *double, expected, expected_lse, where)
    for got, want in zip(grads, exact, strict=True):
        torch.testing.assert_close(got, want.float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("name", ["window", "strided", "fixed", "odd block", "dilated", "both packed"])
def test_gradients_of_a_block_at_a_time(name: str, heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program, where = _program(name, Tile(32, 16)), Call(0.3)
    q, grad = torch.randn(2, 2, heads, 200, 8)
    k, v = torch.randn(2, 2, 2, 200, 8)
    out, lse = ENGINE.forward(program, q, k, v, where)
    expected = ENGINE.backward(program, grad, None, q, k, v, out, lse, where)
    monkeypatch.setattr(stages, "AT_ONCE", 1)
    monkeypatch.setattr(routing, "single_block", lambda *_: None)
    routing.forget()
    for got, want in zip(ENGINE.backward(program, grad, None, q, k, v, out, lse, where), expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_a_backward_pass_makes_no_large_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of a window have gradients of five times as many keys as there are queries: not of all tiles at once."""
    monkeypatch.setattr(stages, "AT_ONCE", 1 << 14)
    program, where = _program("window", Tile(32, 32)), Call(0.3, check_finite=False)
    q, k, v, grad = (torch.randn(1, 1, 2048, 8) for _ in range(4))
    out, lse = ENGINE.forward(program, q, k, v, where)
    with assume(SLOW_TO_MULTIPLY), Largest() as largest:
        ENGINE.backward(program, grad, None, q, k, v, out, lse, where)
    assert largest.found == q.numel()


def test_a_plan_does_not_grow_with_the_length() -> None:
    """Masks and blocks are as many at a million tokens as at a hundred thousand."""
    for name in (
        "strided",
        "fixed",
        "streaming",
        "prefix",
        "dilated",
        "window",
        "global",
        "block",
        "odd block",
        "summary",
    ):
        program = _program(name, Tile(128, 128))
        sizes = []
        for n in (1 << 17, 1 << 20):
            parts = [
                b for kernel in program.forward for sweep in kernel.sweeps for b in blocks(program, sweep, n, n, PRICE)
            ]
            sizes.append((len(parts), sum(block.mask.size for block in parts if block.mask is not None)))
        # But for the ragged last tile, which depends on the length.
        assert sizes[1][0] <= sizes[0][0] + 4, name
        assert sizes[1][1] <= sizes[0][1] + 2 * 128 * 128, name


def test_it_is_refused_off_the_cpu() -> None:
    x = torch.empty(1, 1, 4, 8, device="meta")
    with pytest.raises(EngineError, match="engine='triton'"):
        ENGINE.forward(_program("window"), x, x, x, Call(1.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_are_summed_in_float32(dtype: torch.dtype) -> None:
    """Every query reads the first key alone: dv there is the sum of all rows of dout, which nearly cancel."""
    n, program = 148, pc.compile(pc.loads("pattern p causal { step columns(first(1)) }")["p"], head_dim=16, dtype=dtype)
    q, k, v = (torch.ones(1, 1, n, 16, dtype=dtype).requires_grad_() for _ in range(3))
    slope = torch.linspace(-1, 1, n * 16).view(1, 1, n, 16).to(dtype)
    (dv,) = torch.autograd.grad(program(q, k, v), v, slope)
    torch.testing.assert_close(dv[..., 0, :].double(), slope.double().sum(-2), atol=0, rtol=2**-7)


def test_a_window_wider_than_the_sequence_is_one_triangle() -> None:
    program = _program("window", Tile(128, 128))
    [sweep] = program.forward[0].sweeps
    [block] = blocks(program, sweep, 20, 20, PRICE)
    assert block.triangle and block.mask is None
    assert not all(block.triangle for block in blocks(program, sweep, 21, 21, PRICE))


def test_where_nothing_is_even_every_tile_stands_alone() -> None:
    pattern, n = pc.loads("pattern p causal { step { (i, j) : (i - j) mod 40 < 13 } }")["p"], 1200
    program = lower(pattern.bound.union, pattern.direction, "p", TILE).program
    expected = bruteforce.mask(pattern.bound.union, pattern.direction, n)
    for route in routes(program, n, n, PRICE, torch.float32):
        assert np.array_equal(batch_counts(route.stages, n, n), expected.astype(int)), route.name
