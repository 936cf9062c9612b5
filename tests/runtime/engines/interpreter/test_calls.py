"""Packed documents and capped scores by generated kernels, in Triton's interpreter."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from programs import CASES, Case
from test_engine import close, dense
from torch import Tensor

import patternc as pc
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Tile
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.triton.engine import TritonEngine

ENGINE = TritonEngine()
EDGES = [0, 17, 17, 22, 38, 39]  # more than a tile, nothing, less, a tile, one token


def tensors(n: int, *, heads: int = 2, kv_heads: int = 1, dim: int = 16) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n)
    return [torch.randn(1, count, n, dim, generator=generator) for count in (heads, kv_heads, kv_heads)]


def documents_one_by_one(case: Case, edges: list[int], q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    parts = [dense(case, *(x[:, :, i:j] for x in (q, k, v)), 0.25, None, 0) for i, j in pairwise(edges) if j > i]
    outs, lses = zip(*parts, strict=True)
    return torch.cat(outs, 2), torch.cat(lses, 2)


def agree(program, call: Call, inputs: list[Tensor], leaves: list[Tensor], want: Tensor, want_lse: Tensor) -> None:
    """Forward and backward; ``want`` and ``want_lse`` were computed from ``leaves`` in fp64."""
    q, k, v = inputs
    out, lse = ENGINE.forward(program, q, k, v, call)
    close(out, want, 3e-6, "out")
    close(lse, want_lse, 3e-6, "lse")
    grad_out, grad_lse = torch.randn(want.shape), torch.randn(want_lse.shape)
    finite = want_lse.isfinite()
    loss = (want * grad_out).sum() + (want_lse.masked_fill(~finite, 0.0) * grad_lse * finite).sum()
    found = ENGINE.backward(program, grad_out, grad_lse, q, k, v, out, lse, call)
    for name, got, expected in zip(("dq", "dk", "dv"), found, torch.autograd.grad(loss, leaves), strict=True):
        close(got, expected.nan_to_num(), 1e-5, name)


@pytest.mark.parametrize("name", ["dense_causal", "sliding_window", "strided", "fixed", "rows", "shifted", "diagonals"])
def test_packed_documents(name: str) -> None:
    """``max_seqlen`` takes no part: where edges can be looked at, the longest document is."""
    case, inputs = CASES[name](), tensors(EDGES[-1])
    leaves = [x.double().requires_grad_() for x in inputs]
    call = Call(0.25, documents=torch.tensor(EDGES, dtype=torch.int32))
    agree(case.program, call, inputs, leaves, *documents_one_by_one(case, EDGES, *leaves))


def test_more_documents_than_a_grid_is_high(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patternc.runtime.engines.triton.launching._LARGEST_GRID_Y", 4)
    test_packed_documents("strided")


def test_documents_that_lie_outside_are_not_read() -> None:
    """Nobody looks at them on a GPU before the kernels do."""
    case, inputs = CASES["dense_causal"](), tensors(20)
    call = Call(0.25, documents=torch.tensor([-5, 9, 1000], dtype=torch.int32))
    out, _ = ENGINE.forward(case.program, *inputs, call)
    want, _ = documents_one_by_one(case, [0, 9, 20], *(x.double() for x in inputs))
    close(out, want, 3e-6, "out")


def capped(case: Case, cap: float, scale: float, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    rows = torch.arange(q.shape[2])
    mask = torch.from_numpy(case.related(rows.numpy()[:, None], rows.numpy()[None, :]))
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    scores = (cap * torch.tanh(q @ k.mT * scale / cap)).masked_fill(~mask, -math.inf)
    lse = scores.logsumexp(-1)
    return torch.where(mask, (scores - lse[..., None]).exp(), 0.0) @ v, lse


CAPPED = ["dense_causal", "sliding_window", "strided", "fixed", "rows", "diagonals", "global_token"]


@pytest.mark.parametrize(
    ("name", "scale", "cap"),
    [
        *((name, -0.5, 1.0) for name in CAPPED),
        ("fixed", 1.0, 2.0),  # what numbers the cap has is the same in all
        ("fixed", 0.25, 30.0),
    ],
)
def test_capped_scores(name: str, scale: float, cap: float) -> None:
    case, inputs = CASES[name](), tensors(37)
    leaves = [x.double().requires_grad_() for x in inputs]
    agree(case.program, Call(scale, softcap=cap), inputs, leaves, *capped(case, cap, scale, *leaves))


CROSS = """
pattern near cross { step local(4) | columns(first(2)) }
pattern ends cross { step { (i, j) : nq - i = nk - j } | { (i, j) : j >= nk - 3 } }
pattern strides cross { step strided(4) | block(16) }
pattern packed cross { step { (i, j) : j mod 4 = 3 and i mod 8 < 2 } }
"""


@pytest.mark.parametrize("nq, nk", [(1, 40), (40, 5), (21, 37)])
@pytest.mark.parametrize("name", ["near", "ends", "strides", "packed"])
def test_two_sequences(name: str, nq: int, nk: int) -> None:
    bound = pc.loads(CROSS)[name].bind().bound
    program = lower(bound.union, bound.direction, name, Tile(16, 16)).program
    inputs = [torch.randn(2, 2, nq, 16), torch.randn(2, 1, nk, 16), torch.randn(2, 1, nk, 16)]
    leaves = [x.double().requires_grad_() for x in inputs]
    spans = torch.tensor([[0, nk], [min(3, nk - 1), nk - 1]], dtype=torch.int32)
    mask = torch.zeros(2, 1, nq, nk, dtype=torch.bool)
    for element, (start, end) in enumerate(spans.tolist()):
        mask[element, 0, :, start:end] = pc.loads(CROSS)[name].mask(nq, end - start)
    scores = (leaves[0] @ leaves[1].mT * 0.25).masked_fill(~mask, -math.inf)
    lse = scores.logsumexp(-1)
    want = torch.where(mask, (scores - lse.masked_fill(lse.isneginf(), 0.0)[..., None]).exp(), 0.0) @ leaves[2]
    agree(program, Call(0.25, spans), inputs, leaves, want, lse)


@pytest.mark.parametrize("name", ["sliding_window", "strided", "fixed", "rows", "diagonals", "global_token"])
def test_bad_numbers_reach_only_rows_that_attend_to_them(name: str) -> None:
    case = CASES[name]()
    q, k, v = tensors(37)
    k[:, :, 20], v[:, :, 29] = math.nan, math.inf
    places = np.arange(37)
    pairs = torch.from_numpy(case.related(places[:, None], places[None, :]))
    spoiled = pairs[:, [20, 29]].any(-1)
    assert spoiled.any() and not spoiled.all()
    out, lse = ENGINE.forward(case.program, q, k, v, Call(0.25))
    assert out[:, :, spoiled].isnan().all() and not out[:, :, ~spoiled].isnan().any()
    assert torch.equal(lse.isnan(), pairs[:, 20].expand_as(lse))  # values have no part in it
    leaves = [x.nan_to_num(0.0, 0.0).double().requires_grad_() for x in (q, k, v)]
    want, _ = dense(case, *leaves, 0.25, None, 0)
    close(out[:, :, ~spoiled], want[:, :, ~spoiled], 3e-6, "out")
    touched = pairs[spoiled].any(0)
    grads = ENGINE.backward(case.program, torch.ones_like(out), torch.ones_like(lse), q, k, v, out, lse, Call(0.25))
    for gradient, where in zip(grads, (spoiled & pairs.any(-1), touched, touched), strict=True):
        assert gradient[:, :, where].isnan().all() and gradient[:, :, ~where].isfinite().all()
    # Only where nobody looks does a bad number spoil its block.
    assert name != "rows" or ENGINE.forward(case.program, q, k, v, Call(0.25, check_finite=False))[0].isnan().any()


def test_offsets_beyond_32_bits() -> None:
    rows, step = 33, 2**26
    storage = torch.empty(rows * step, dtype=torch.float16)
    far = [storage.as_strided((1, 1, rows, 16), (16, 16, step, 1), offset) for offset in (0, 64, 128)]
    for x in far:
        x.copy_(torch.randn(1, 1, rows, 16))
    case, near = CASES["strided"](), [x.contiguous() for x in far]
    results = []
    for inputs in (far, near):
        out, lse = ENGINE.forward(case.program, *inputs, Call(0.25))
        results.append(
            [out, lse, *ENGINE.backward(case.program, torch.ones_like(out), None, *inputs, out, lse, Call(0.25))]
        )
    for mine, theirs in zip(*results, strict=True):
        assert torch.equal(mine, theirs)


def test_documents_that_are_shorter_than_a_stride() -> None:
    """Each has fewer tokens than there are residues, and all together have more."""
    case, edges = CASES["strided"](), [0, 5, 5, 12, 18, 19]
    inputs = tensors(edges[-1], heads=2)
    leaves = [x.double().requires_grad_() for x in inputs]
    call = Call(0.25, documents=torch.tensor(edges, dtype=torch.int32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a grid that is too small divides by zero
        agree(case.program, call, inputs, leaves, *documents_one_by_one(case, edges, *leaves))
