"""Diagonals in the compose engine: forward, backward, a part of the queries, plans cut to a shorter length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import read
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.plan import diagonal
from patternc.runtime.engines.compose.plan.diagonal import Diagonals
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import find_route, forget
from patternc.runtime.engines.compose.running.rows import find_seen
from patternc.runtime.engines.engine import Call, Meaning
from patternc.runtime.engines.reference import ReferenceEngine
from patternc.testing.machines import PLAIN, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

LOG = "{ (i, j) : i = j or exists k in 2..6 : i - j = 2^k }"
ENDS = "{ (i, j) : abs(j - max(3, min(i, n - 4))) <= 3 }"
EVERY_THIRD = "{ (i, j) : (i - j = 5 or j - i = 90) and (i + j) mod 3 = 1 }"
BESIDE_TILES = "local(90) | { (i, j) : i - j = 200 or i - j = 203 }"


@pytest.fixture(autouse=True)
def by_diagonals() -> Iterator[None]:
    """A machine on which the route of the fewest scores is taken."""
    forget()
    with assume(SLOW_TO_MULTIPLY):
        yield
    forget()


def found(step: str, direction: str = "causal") -> tuple[Program, Meaning]:
    bound = pc.loads(f"pattern p {direction} {{ step {step} }}")["p"].bound
    return lower(bound.union, bound.direction, "p").program, Meaning(bound.union, bound.direction)


def tensors(n: int, heads: int = 2, kv_heads: int = 2, batch: int = 1, nk: int | None = None) -> list[Tensor]:
    draw = torch.Generator().manual_seed(n)
    shapes = [(heads, n), (kv_heads, nk or n), (kv_heads, nk or n)]
    return [torch.randn(batch, *shape, 8, dtype=torch.float64, generator=draw) for shape in shapes]


def agree(program: Program, meaning: Meaning, q: Tensor, k: Tensor, v: Tensor, call: Call) -> None:
    """Forward and backward of compose are those of the reference engine."""
    draw = torch.Generator().manual_seed(1)
    grad_out = torch.randn(q.shape, dtype=q.dtype, generator=draw)
    results = []
    for engine, subject in ((ReferenceEngine(), meaning), (ComposeEngine(), program)):
        out, lse = engine.forward(subject, q, k, v, call)
        grad_lse = torch.linspace(-1, 1, lse.numel(), dtype=lse.dtype).view(lse.shape)
        grads = engine.backward(subject, grad_out, grad_lse, q, k, v, out, lse, call)
        results.append((out, lse, *grads))
    for wanted, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("elements", [32, 1 << 18])
@pytest.mark.parametrize(
    ("step", "direction"),
    [(LOG, "causal"), (ENDS, "bidirectional"), (EVERY_THIRD, "bidirectional"), (BESIDE_TILES, "causal")],
)
def test_gradients(step: str, direction: str, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagonal, "ELEMENTS", elements)
    program, meaning = found(step, direction)
    assert any(sweep.diagonal for kernel in program.forward for sweep in kernel.sweeps)
    for n, heads, kv_heads in ((1, 2, 2), (9, 4, 2), (237, 2, 1)):
        agree(program, meaning, *tensors(n, heads, kv_heads, batch=2), Call(0.3))
    agree(program, meaning, *tensors(130), Call(0.3, softcap=1.5))
    agree(program, meaning, *tensors(130), Call(-0.3, torch.tensor([[5, 120]], dtype=torch.int32)))


DISTANCES = st.lists(st.integers(-70, 70), min_size=1, max_size=4, unique=True)


@settings(max_examples=15, deadline=None)
@given(DISTANCES, st.booleans(), st.integers(1, 120), st.integers(1, 120))
def test_any_few_distances(distances: list[int], cross: bool, n: int, nk: int) -> None:
    some = " or ".join(f"i - j = {distance}" for distance in distances)
    program, meaning = found(f"{{ (i, j) : {some} }}", "cross" if cross else "bidirectional")
    agree(program, meaning, *tensors(n, nk=nk if cross else None), Call(0.3))


def test_numbers_that_are_not_finite_reach_no_other_row() -> None:
    program, meaning = found(LOG)
    q, k, v = tensors(60)
    k[:, :, 7], v[:, :, 21] = torch.nan, torch.inf
    (out, _), (wanted, _) = (
        ComposeEngine().forward(program, q, k, v, Call(0.3)),
        ReferenceEngine().forward(meaning, q, k, v, Call(0.3)),
    )
    assert torch.equal(out.isnan(), ~wanted.isfinite())
    assert out.isnan().any() and out.isfinite().any()
    torch.testing.assert_close(out[out.isfinite()], wanted[out.isfinite()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_data_types(dtype: torch.dtype) -> None:
    program, meaning = found(LOG)
    inputs = [x.to(dtype) for x in tensors(150, heads=4)]
    out, lse = ComposeEngine().forward(program, *inputs, Call(0.3))
    wanted, wanted_lse = ReferenceEngine().forward(meaning, *(x.double() for x in inputs), Call(0.3))
    assert out.dtype == dtype
    close = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(out.double(), wanted, rtol=close, atol=close)
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("step", [LOG, BESIDE_TILES])
def test_plans_are_cut_to_shorter_lengths(step: str) -> None:
    program, meaning = found(step)
    price = Price(PLAIN, Heads(batch=1, keys=2, group=1, dim=8), 1)
    for n in (500, 300, 45, 3, 1):
        route = find_route(program, n, n, price, torch.float32)
        if route.name == "arranged" and (step == LOG or n > 200):  # a stage without a pair is left out
            assert any(isinstance(stage, Diagonals) for stage in route.stages)
        wanted = bruteforce.mask(meaning.expression, meaning.direction, n)
        assert np.array_equal(batch_counts(route.stages, n, n), wanted)


@pytest.mark.parametrize("step", [LOG, ENDS, EVERY_THIRD, BESIDE_TILES, "block(128)"])
@pytest.mark.parametrize("kept", [True, False])
def test_some_queries(step: str, kept: bool) -> None:
    """Of a program as it was lowered, and as it was kept on disk, where what needs no mask has none."""
    program, meaning = found(step, "bidirectional")
    program = read(emit(program)) if kept else program
    n = 300
    wanted = bruteforce.mask(meaning.expression, meaning.direction, n)
    for first, rows in ((0, 1), (299, 1), (130, 1), (0, 300), (100, 60), (127, 2)):
        seen = find_seen(program, first, rows, n)
        places = np.arange(n)[seen.keys] if isinstance(seen.keys, slice) else seen.keys.index.numpy()
        table = np.zeros((rows, n), dtype=np.bool_)
        table[:, places] = True if seen.mask is None else seen.mask.numpy()
        assert np.array_equal(table, wanted[first : first + rows])
