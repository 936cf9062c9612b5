"""Generated kernels against dense attention in fp64, in Triton's interpreter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from programs import CASES, Case
from torch import Tensor

from patternc.compiler.kernels import launch
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.triton.engine import TritonEngine

ENGINE = TritonEngine()


def dense(
    case: Case, q: Tensor, k: Tensor, v: Tensor, scale: float, spans: Tensor | None, offset: int
) -> tuple[Tensor, Tensor]:
    """Masked softmax in fp64; a row with no key gives 0 and -inf."""
    q, k, v = q.double(), k.double(), v.double()
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    rows, keys = np.arange(q.shape[2])[:, None] + offset, np.arange(k.shape[2])[None, :]
    masks = []
    for item in range(q.shape[0]):
        start, end = (0, keys.size) if spans is None else (int(x) for x in spans[item])
        exists = (rows >= start) & (rows < end) & (keys >= start) & (keys < end)
        masks.append(exists & case.related(rows - start, keys - start))
    mask = torch.from_numpy(np.stack(masks))[:, None]
    clean_k, clean_v = k.nan_to_num(), v.nan_to_num()
    scores = (q @ clean_k.mT * scale).masked_fill(~mask, -math.inf)
    lse = scores.logsumexp(-1)
    p = torch.where(mask, (scores - lse[..., None]).exp(), 0.0)
    return p @ clean_v, lse


def tensors(
    n: int, dim: int = 16, heads: int = 1, kv_heads: int = 1, batch: int = 1, rows: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:  # fmt: skip
    generator = torch.Generator().manual_seed(n * 1000 + dim)
    shapes = [(batch, heads, n if rows is None else rows, dim)] + [(batch, kv_heads, n, dim)] * 2
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def agree(
    case: Case, q: Tensor, k: Tensor, v: Tensor, *, spans: Tensor | None = None, offset: int = 0,
    scale: float | None = None, tolerance: float = 2e-6, backward: bool = True,
) -> None:  # fmt: skip
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    call = Call(scale, spans, offset)
    leaves = [x.double().detach().requires_grad_() for x in (q, k, v)]
    want, want_lse = dense(case, *leaves, scale, spans, offset)
    out, lse = ENGINE.forward(case.program, q, k, v, call)
    close(out, want, tolerance, "out")
    close(lse, want_lse, tolerance, "lse")
    assert out.dtype == q.dtype and lse.dtype == torch.float32
    if not backward:
        return
    generator = torch.Generator().manual_seed(7)
    grad_out = torch.randn(want.shape, generator=generator).to(q.dtype)
    grad_lse = torch.randn(want_lse.shape, generator=generator)
    finite = want_lse.isfinite()
    loss = (want * grad_out).sum() + (want_lse.masked_fill(~finite, 0.0) * grad_lse * finite).sum()
    grads = ENGINE.backward(case.program, grad_out, grad_lse, q, k, v, out, lse, call)
    wanted = torch.autograd.grad(loss, leaves) if loss.requires_grad else [torch.zeros_like(x) for x in leaves]
    for name, got, expected in zip(("dq", "dk", "dv"), grads, wanted, strict=True):
        close(got, expected.nan_to_num(), 4 * tolerance, name)


def close(got: Tensor, want: Tensor, tolerance: float, name: str) -> None:
    assert got.shape == want.shape, name
    want = want.detach()
    scale = max(1.0, float(want[want.isfinite()].abs().max())) if want.isfinite().any() else 1.0
    torch.testing.assert_close(got.double(), want, rtol=0, atol=tolerance * scale, msg=lambda text: f"{name}: {text}")


@pytest.mark.parametrize("n", [1, 16, 37, 70])
@pytest.mark.parametrize("name", CASES)
def test_every_program_equals_its_pattern(name: str, n: int) -> None:
    agree(CASES[name](), *tensors(n))


@pytest.mark.parametrize("name", ["dense_causal", "strided", "fixed", "rows", "diagonals", "global_token"])
def test_padded_batches_and_groups_of_three(name: str) -> None:
    q, k, v = tensors(40, heads=3, kv_heads=1, batch=2)
    spans = torch.tensor([[7, 40], [0, 20]], dtype=torch.int32)
    # What lies outside the spans is never read.
    k[0, :, :7], v[0, :, :7], v[1, :, 20:], k[1, :, 20:] = math.nan, math.inf, math.nan, -math.inf
    agree(CASES[name](), q, k, v, spans=spans)


def test_ranges_that_share_a_loop() -> None:
    """Several ranges have a ragged block at both ends of the queries."""
    q, k, v = tensors(170, batch=2, rows=60)
    spans = torch.tensor([[0, 170], [7, 165]], dtype=torch.int32)
    agree(CASES["pieces"](), q, k, v, offset=101, spans=spans)


def test_an_empty_span() -> None:
    q, k, v = tensors(20, batch=2)
    agree(CASES["dense_causal"](), q, k, v, spans=torch.tensor([[4, 4], [0, 20]], dtype=torch.int32))


@pytest.mark.parametrize(
    "name", ["dense_causal", "sliding_window", "strided", "fixed", "rows", "shifted", "diagonals", "global_token"]
)
@pytest.mark.parametrize("rows, offset", [(1, 52), (9, 30)])
def test_queries_that_start_late(name: str, rows: int, offset: int) -> None:
    agree(CASES[name](), *tensors(53, rows=rows), offset=offset)


def test_late_queries_of_padded_batches() -> None:
    spans = torch.tensor([[5, 40], [0, 33]], dtype=torch.int32)
    agree(CASES["strided"](), *tensors(40, batch=2, rows=10), offset=28, spans=spans)


@pytest.mark.parametrize("dim", [24, 40])
def test_head_dimensions_that_are_no_power_of_two(dim: int) -> None:
    agree(CASES["fixed"](), *tensors(35, dim=dim))


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 8e-3), (torch.float16, 1e-3)])
@pytest.mark.parametrize("name", ["dense_causal", "strided", "diagonals", "global_token"])
def test_half_precision(name: str, dtype: torch.dtype, tolerance: float) -> None:
    agree(CASES[name](), *tensors(37, dtype=dtype), tolerance=tolerance)


@pytest.mark.parametrize("name", ["dense_causal", "strided", "fixed"])
def test_sharp_softmaxes_in_bfloat16(name: str) -> None:
    """Scores of 50 and more: where p is near 1, ds is a small difference of large numbers."""
    q, k, v = tensors(70, dtype=torch.bfloat16)
    agree(CASES[name](), 16 * q, k, v, tolerance=3e-3)


def test_strides_of_every_kind() -> None:
    q, k, v = tensors(37, dim=24, heads=2, kv_heads=2, batch=2)
    q = q.transpose(1, 2).contiguous().transpose(1, 2)
    k = k.mT.contiguous().mT
    v = torch.stack([v, v.neg()], -1)[..., 0]
    agree(CASES["fixed"](), q, k, v)


@pytest.mark.parametrize("scale", [0.0, 1e-42, -0.3, 5.0])
def test_any_scale(scale: float) -> None:
    agree(CASES["dense_causal"](), *tensors(20), scale=scale, tolerance=1e-5)


def test_scores_beyond_the_range_of_exp() -> None:
    q, k, v = tensors(37)
    agree(CASES["strided"](), q * 100, k * 100, v, tolerance=2e-4, backward=False)


def test_kernels_survive_a_gradient_of_out_alone() -> None:
    q, k, v = tensors(20)
    case = CASES["rows"]()
    out, lse = ENGINE.forward(case.program, q, k, v, Call(0.25))
    grads = ENGINE.backward(case.program, torch.ones_like(out), None, q, k, v, out, lse, Call(0.25))
    assert all(x.isfinite().all() for x in grads)
    assert (out[:, :, :12] == 0).all() and (lse[:, :, :12] == -math.inf).all() and (grads[0][:, :, :12] == 0).all()


def test_no_queries() -> None:
    q, k, v = tensors(20, rows=0)
    out, lse = ENGINE.forward(CASES["dense_causal"]().program, q, k, v, Call(1.0))
    assert out.shape == (1, 1, 0, 16) and lse.shape == (1, 1, 0)


@pytest.mark.parametrize(
    "name",
    [
        "strided",
        "diagonals",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("sliding_window", "fixed", "dense_bidirectional")),
    ],
)
def test_blocks_smaller_than_tiles(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks as large as tiles hide the walk inside a tile; here a tile is 2 x 1 or 1 x 2 blocks."""
    case = CASES[name]()
    for block in ((8, 16), (16, 8)):
        monkeypatch.setattr(launch, "options", lambda *_, block=block, **__: launch.Options(*block, 1, 1))
        agree(case, *tensors(45, heads=2))
        agree(case, *tensors(45, rows=7), offset=21)


def test_bad_arguments_name_the_remedy() -> None:
    program = CASES["dense_causal"]().program
    q, k, v = tensors(20)
    for bad, text in (
        ((q, k[..., :8], v), "expected \\[B, Hq, Nq, D\\]"),
        ((q.repeat(1, 3, 1, 1), k.repeat(1, 2, 1, 1), v.repeat(1, 2, 1, 1)), "not a multiple"),
        ((q.half(), k, v), "dtypes"),
        ((q.double(), k.double(), v.double()), "dtypes"),
    ):
        with pytest.raises(ValueError, match=text):
            ENGINE.forward(program, *bad, Call(1.0))
    with pytest.raises(ValueError, match="spans must be int32"):
        ENGINE.forward(program, q, k, v, Call(1.0, torch.zeros(1, 2)))


@pytest.mark.parametrize(
    "name", ["dense_causal", *(pytest.param(name, marks=pytest.mark.slow) for name in ("strided", "fixed"))]
)
def test_gradients_are_the_same_bits_twice(name: str) -> None:
    """No atomics: every sum has one order."""
    q, k, v = tensors(70, heads=4, kv_heads=2)
    program, call = CASES[name]().program, Call(0.25)
    out, lse = ENGINE.forward(program, q, k, v, call)
    first, second = (ENGINE.backward(program, out.cos(), lse.sin(), q, k, v, out, lse, call) for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
