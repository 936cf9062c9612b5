"""Capped scores, as Gemma 2 computes them: ``softcap * tanh(score / softcap)`` before the mask."""

from __future__ import annotations

import math

import pytest
import torch

import patternc as pc
from patternc.runtime.engines.compose.running import capped


def capped_attention(q, k, v, mask, scale, cap):
    """out and lse in plain torch, differentiable."""
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scores = torch.tanh(q @ k.mT * scale / cap) * cap
    some = mask.any(-1, keepdim=True)
    scores = scores.masked_fill(~(mask | ~some), -math.inf)
    return torch.where(some, scores.softmax(-1) @ v, 0.0), scores.logsumexp(-1).masked_fill(~some[..., 0], -math.inf)


@pytest.mark.parametrize("scale", [0.3, 5.0, -2.0, 0.0])
@pytest.mark.parametrize("name", ["dense", "window", "factorized", "both", "tail", "gaps"])
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_scores_are_capped_forward_and_backward(patterns, engine, name, scale):
    n, program = 37, pc.compile(patterns(name), head_dim=8, engine=engine)
    inputs = tuple(torch.randn(2, heads, n, 8).requires_grad_() for heads in (4, 2, 2))
    double = tuple(x.detach().double().requires_grad_() for x in inputs)
    out, lse = program(*inputs, scale=scale, softcap=2.0, return_lse=True)
    wanted, wanted_lse = capped_attention(*double, patterns(name).mask(n), scale, 2.0)
    torch.testing.assert_close(out.double(), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=0, atol=1e-5)
    grad_out, grad_lse = torch.randn(out.shape), torch.randn(lse.shape)
    alive = wanted_lse.isfinite()
    found = torch.autograd.grad((out * grad_out).sum() + (lse * grad_lse)[alive].sum(), inputs)
    exact = torch.autograd.grad((wanted * grad_out).sum() + (wanted_lse * grad_lse)[alive].sum(), double)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=5e-5)


def test_late_queries_and_padding(patterns):
    spans = torch.tensor([[0, 20], [4, 17]], dtype=torch.int32)
    inputs = torch.randn(2, 2, 5, 8), torch.randn(2, 2, 20, 8), torch.randn(2, 2, 20, 8)
    options = {"spans": spans, "query_offset": 13, "softcap": 0.7, "return_lse": True}
    results = [
        pc.compile(patterns("factorized"), head_dim=8, engine=engine)(*inputs, **options)
        for engine in ("reference", "compose")
    ]
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


def test_long_blocks_are_computed_in_pieces(patterns, monkeypatch):
    program = pc.compile(patterns("dense"), head_dim=8, engine="compose")
    inputs = tuple(torch.randn(2, 2, 50, 8).requires_grad_() for _ in range(3))

    def run():
        out, lse = program(*inputs, softcap=2.0, return_lse=True)
        return out, lse, *torch.autograd.grad(out.sin().sum() + lse.sum(), inputs)

    whole = run()
    monkeypatch.setattr(capped, "MOST_SCORES", 100)
    for mine, theirs in zip(run(), whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


def test_a_large_cap_changes_nothing(patterns):
    program = pc.compile(patterns("window"), head_dim=8, engine="compose")
    q, k, v = (torch.randn(1, 2, 30, 8) for _ in range(3))
    torch.testing.assert_close(program(q, k, v, softcap=1e6), program(q, k, v), rtol=0, atol=1e-5)
