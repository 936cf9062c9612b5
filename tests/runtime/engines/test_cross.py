"""Cross patterns: queries of one sequence, keys of another, of any two lengths. The oracle is masked attention."""

from __future__ import annotations

import math

import pytest
import torch

import patternc as pc
from patternc.runtime.errors import ArgumentError

SOURCE = """
pattern dense cross { step everything }
pattern near cross { step local(4) | columns(first(2)) }
pattern ends cross { step { (i, j) : nq - i = nk - j } | { (i, j) : j >= nk - 3 } }
pattern strides cross { step strided(8) | block(16) }
pattern slope cross { step { (i, j) : -4 <= 2 * i - j <= 4 } }
pattern packed cross { step { (i, j) : j mod 4 = 3 and i mod 8 < 2 } }
pattern few cross { step { (i, j) : i >= 5 and j < 3 } }
"""
NAMES = ("dense", "near", "ends", "strides", "slope", "packed", "few")
LENGTHS = [(1, 1), (5, 40), (40, 5), (37, 70), (130, 33), (0, 7), (7, 0)]
SPANS = torch.tensor([[0, 33], [7, 21]], dtype=torch.int32)


def pattern(name):
    return pc.loads(SOURCE)[name].bind()


def masked(q, k, v, mask, scale):
    """(out, lse) in fp64; a row without a key has out 0 and lse -inf."""
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scores = (q @ k.mT * scale).masked_fill(~mask, -math.inf)
    some = mask.any(-1, keepdim=True)
    weights = torch.where(some, scores.masked_fill(~some, 0.0).softmax(-1), 0.0)
    return weights @ v, torch.where(some[..., 0], scores.masked_fill(~some, 0.0).logsumexp(-1), -math.inf)


def check(name, engine, nq, nk, spans=None, **options):
    mask = torch.zeros(2, 1, nq, nk, dtype=torch.bool)
    for element, (start, end) in enumerate([[0, nk]] * 2 if spans is None else spans.tolist()):
        mask[element, 0, :, start:end] = pattern(name).mask(nq, end - start)
    program = pc.compile(pattern(name), head_dim=8, engine=engine)
    inputs = [torch.randn(2, 4, nq, 8), torch.randn(2, nk, 2, 8).transpose(1, 2), torch.randn(2, 2, nk, 8)]
    leaves = [x.requires_grad_() for x in inputs]
    double = [x.detach().double().requires_grad_() for x in inputs]
    out, lse = program(*leaves, spans=spans, scale=0.4, return_lse=True, **options)
    wanted, wanted_lse = masked(*double, mask, 0.4)
    torch.testing.assert_close(out.double(), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=0, atol=1e-5)
    weight, slope = torch.randn(out.shape), torch.randn(lse.shape)
    alive = wanted_lse.isfinite()
    found = torch.autograd.grad((out * weight).sum() + (lse * slope)[alive].sum(), leaves)
    loss = (wanted * weight).sum() + (wanted_lse * slope)[alive].sum()
    exact = torch.autograd.grad(loss, double, materialize_grads=True, allow_unused=True)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=5e-5)


@pytest.mark.parametrize("nq, nk", LENGTHS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_two_lengths(engine, name, nq, nk):
    check(name, engine, nq, nk)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_padding_of_the_keys(engine, name):
    check(name, engine, 20, 33, SPANS)


def test_what_belongs_to_one_sequence_is_refused():
    program = pc.compile(pattern("near"), head_dim=8, engine="reference")
    q, k = torch.zeros(1, 1, 3, 8), torch.zeros(1, 1, 9, 8)
    with pytest.raises(ArgumentError, match="argument 'query_offset': 6, but the pattern is a cross pattern"):
        program(q, k, k, query_offset=6)
    with pytest.raises(ArgumentError, match="argument 'documents': given to a cross pattern"):
        program(k, k, k, documents=torch.tensor([0, 9], dtype=torch.int32))


def test_in_a_compiled_graph():
    torch.compiler.reset()
    program = pc.compile(pattern("near"), head_dim=8, engine="compose")
    inputs = [torch.randn(1, 2, n, 8).requires_grad_() for n in (5, 11, 11)]

    def loss(q, k, v):
        return program(q, k, v).sin().sum()

    eager = torch.autograd.grad(loss(*inputs), inputs)
    compiled = torch.autograd.grad(torch.compile(loss, fullgraph=True, backend="aot_eager")(*inputs), inputs)
    for mine, theirs in zip(compiled, eager, strict=True):
        torch.testing.assert_close(mine, theirs)
