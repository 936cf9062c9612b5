"""Sinks: a logit for each head that joins the softmax and yields nothing. The oracle appends a key of that score."""

from __future__ import annotations

import math

import pytest
import torch

import patternc as pc
from patternc.runtime.errors import ArgumentError


def with_a_column(q, k, v, mask, scale, sinks):
    """Softmax over the visible keys and one more of score ``sinks``, as gpt-oss computes it; fp64."""
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scores = (q @ k.mT * scale).masked_fill(~mask, -math.inf)
    column = sinks[None, :, None, None].expand(*scores.shape[:3], 1)
    weights = torch.cat([scores, column], dim=-1)
    return weights.softmax(-1)[..., :-1] @ v, weights.logsumexp(-1)


@pytest.mark.parametrize("name", ["window", "factorized", "gaps"])
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_sinks_join_the_softmax_forward_and_backward(patterns, engine, name):
    program = pc.compile(patterns(name), head_dim=8, engine=engine)
    inputs = [torch.randn(2, heads, 21, 8).requires_grad_() for heads in (4, 2, 2)]
    inputs.append(torch.tensor([-30.0, 0.0, 1.5, 30.0]).requires_grad_())
    double = [x.detach().double().requires_grad_() for x in inputs]
    out, lse = program(*inputs[:3], sinks=inputs[3], scale=0.4, return_lse=True)
    wanted = with_a_column(*double[:3], patterns(name).mask(21), 0.4, double[3])
    weight, slope = torch.randn(out.shape), torch.randn(lse.shape)
    for mine, theirs in zip((out, lse), wanted, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=1e-5)
    found = torch.autograd.grad((out * weight).sum() + (lse * slope).sum(), inputs)
    exact = torch.autograd.grad((wanted[0] * weight).sum() + (wanted[1] * slope).sum(), double)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=5e-5)


def test_a_sink_of_minus_infinity_changes_nothing(patterns):
    program = pc.compile(patterns("gaps"), head_dim=8, engine="compose")
    q, k, v = (torch.randn(1, 2, 9, 8).requires_grad_() for _ in range(3))
    sinks = torch.full((2,), -math.inf)
    plain, joined = program(q, k, v, return_lse=True), program(q, k, v, sinks=sinks, return_lse=True)
    for mine, theirs in zip(joined, plain, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert (plain[0][:, :, 0] == 0).all()  # it has no key
    gradients = (torch.autograd.grad(out.sum(), (q, k, v)) for out, _ in (plain, joined))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_a_row_with_neither_a_key_nor_a_sink_has_no_gradient(patterns, engine):
    """Its lse is the logarithm of 0, of which a loss of the other rows must not see the slope."""
    program = pc.compile(patterns("gaps"), head_dim=8, engine=engine)
    inputs = [torch.randn(1, 2, 9, 8).requires_grad_() for _ in range(3)]
    inputs.append(torch.tensor([-math.inf, 0.5]).requires_grad_())
    out, lse = program(*inputs[:3], sinks=inputs[3], return_lse=True)
    assert (lse[0, 0, :3] == -math.inf).all() and (lse[0, 1, :3] == 0.5).all()
    gradients = torch.autograd.grad(out.sum() + lse[lse.isfinite()].sum(), inputs)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[3][0] == 0 and gradients[3][1] != 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_data_type_of_out_stays(patterns, dtype):
    program = pc.compile(patterns("window"), head_dim=8, dtype=dtype, engine="compose")
    q, k, v = (torch.randn(1, 2, 9, 8, dtype=dtype) for _ in range(3))
    assert program(q, k, v, sinks=torch.zeros(2)).dtype == dtype


@pytest.mark.parametrize(
    ("sinks", "message"),
    [
        ([0.0, 0.0], "argument 'sinks': a list; pass one logit for each query head"),
        (torch.zeros(3), r"torch.float32 \(3,\); .* floating point \[2\]"),
        (torch.zeros(2, dtype=torch.int32), r"torch.int32 \(2,\)"),
        (torch.zeros(2, device="meta"), "on meta, but q is on cpu"),
    ],
)
def test_wrong_sinks(patterns, sinks, message):
    x = torch.zeros(1, 2, 4, 8)
    with pytest.raises(ArgumentError, match=message):
        pc.compile(patterns("window"), head_dim=8, engine="reference")(x, x, x, sinks=sinks)
