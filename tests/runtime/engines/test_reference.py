"""The reference engine against torch's own attention under the same boolean mask, and its gradients against
finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import patternc as pc
from patternc.runtime.engines.reference import contract

CAUSAL = ["dense", "window", "factorized", "tail"]


def tensors(*, batch=2, heads=4, key_heads=2, nq=13, nk=13, width=8, dtype=torch.float32, grad=False):
    shapes = ((batch, heads, nq, width), (batch, key_heads, nk, width), (batch, key_heads, nk, width))
    return [torch.randn(shape, dtype=dtype).requires_grad_(grad) for shape in shapes]


def compile_reference(pattern, dtype=torch.float32, width=8):
    return pc.compile(pattern, head_dim=width, dtype=dtype, engine="reference")


def expected(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


@pytest.mark.parametrize("name", [*CAUSAL, "both"])
@pytest.mark.parametrize("n", [1, 2, 13])
def test_forward_equals_sdpa_under_the_mask(patterns, name, n):
    pattern = patterns(name)
    q, k, v = tensors(nq=n, nk=n)
    out, lse = compile_reference(pattern)(q, k, v, return_lse=True)
    mask = pattern.mask(n)
    torch.testing.assert_close(out, expected(q, k, v, mask))
    scores = (q @ k.repeat_interleave(2, 1).mT) * 8**-0.5
    torch.testing.assert_close(lse, scores.masked_fill(~mask, -torch.inf).logsumexp(-1))


@pytest.mark.parametrize("key_heads", [1, 2, 3, 6])
def test_any_group_size(patterns, key_heads):
    q, k, v = tensors(heads=6, key_heads=key_heads)
    out = compile_reference(patterns("window"))(q, k, v)
    torch.testing.assert_close(out, expected(q, k, v, patterns("window").mask(13)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_data_types(patterns, dtype):
    q, k, v = tensors(dtype=dtype)
    out, lse = compile_reference(patterns("window"), dtype)(q, k, v, return_lse=True)
    assert out.dtype == dtype
    assert lse.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    wide = expected(q.double(), k.double(), v.double(), patterns("window").mask(13))
    torch.testing.assert_close(out, wide.to(dtype))


def test_no_tokens(patterns):
    q, k, v = tensors(nq=0, nk=0, grad=True)
    out, lse = compile_reference(patterns("dense"))(q, k, v, return_lse=True)
    assert out.shape == q.shape
    assert lse.shape == q.shape[:3]
    out.sum().backward()
    assert k.grad.shape == k.shape


def test_strided_inputs_give_a_contiguous_result(patterns):
    q, k, v = tensors()
    program = compile_reference(patterns("window"))
    views = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    out = program(*views)
    assert out.is_contiguous()
    torch.testing.assert_close(out, program(q, k, v))


@pytest.mark.parametrize("name", CAUSAL[:3])
def test_query_offset_selects_rows(patterns, name):
    q, k, v = tensors()
    program = compile_reference(patterns(name))
    whole = program(q, k, v)
    torch.testing.assert_close(program(q[:, :, 9:], k, v, query_offset=9), whole[:, :, 9:])
    torch.testing.assert_close(program(q[:, :, 5:7], k, v, query_offset=5), whole[:, :, 5:7])


@pytest.mark.parametrize("name", [*CAUSAL, "both"])
def test_spans_are_sequences_of_their_own(patterns, name):
    spans = [(0, 13), (3, 13), (0, 9), (4, 8), (6, 6)]
    q, k, v = tensors(batch=len(spans))
    program = compile_reference(patterns(name))
    out, lse = program(q, k, v, spans=torch.tensor(spans, dtype=torch.int32), return_lse=True)
    for element, (start, end) in enumerate(spans):
        part = [x[element : element + 1, :, start:end] for x in (q, k, v)]
        alone = program(*part)
        torch.testing.assert_close(out[element : element + 1, :, start:end], alone)
        outside = [row for row in range(13) if not start <= row < end]
        assert (out[element, :, outside] == 0).all()
        assert (lse[element, :, outside] == -torch.inf).all()


def test_rows_without_a_key_are_zero_and_have_no_gradient(patterns):
    q, k, v = tensors(grad=True)
    out, lse = compile_reference(patterns("gaps"))(q, k, v, return_lse=True)
    assert (out[:, :, :3] == 0).all()
    assert (lse[:, :, :3] == -torch.inf).all()
    (out.sum() + lse[:, :, 3:].sum()).backward()
    assert (q.grad[:, :, :3] == 0).all()
    assert all(x.grad.isfinite().all() for x in (q, k, v))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_a_row_does_not_attend_to_cannot_spoil_it(patterns, bad):
    q, k, v = tensors(batch=1)
    clean = [x.clone() for x in (q, k, v)]
    for x in (q, k, v):
        x[:, :, :2] = bad  # window(4): rows from 5 on do not see keys 0 and 1
    program = compile_reference(patterns("window"))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = program(*inputs)
    torch.testing.assert_close(out[:, :, 5:], program(*clean)[:, :, 5:])
    out[:, :, 8:].sum().backward()
    assert q.grad[:, :, 5:].isfinite().all()
    assert k.grad[:, :, 8:].isfinite().all()


def test_padding_may_hold_anything(patterns):
    q, k, v = tensors(batch=1)
    for x in (q, k, v):
        x[:, :, :4] = torch.nan
    inputs = [x.requires_grad_() for x in (q, k, v)]
    out = compile_reference(patterns("factorized"))(*inputs, spans=torch.tensor([[4, 13]], dtype=torch.int32))
    out.sum().backward()
    assert out.isfinite().all()
    assert all(x.grad.isfinite().all() for x in inputs)


@pytest.mark.parametrize("name", ["window", "factorized", "both"])
def test_gradients_against_finite_differences(patterns, name):
    q, k, v = tensors(batch=2, nq=3, nk=6, width=4, dtype=torch.float64, grad=True)
    program = compile_reference(patterns(name), torch.float64, width=4)
    spans = torch.tensor([[0, 6], [1, 6]], dtype=torch.int32)
    torch.autograd.gradcheck(
        lambda *x: program(*x, spans=spans, query_offset=3, scale=0.7, return_lse=True), (q, k, v), fast_mode=False
    )


def test_contract_skips_pairs_that_are_not_kept():
    weights = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
    values = torch.tensor([[[[torch.inf], [2.0]]]])
    result = contract(weights, weights != 0, values)
    torch.testing.assert_close(result, torch.tensor([[[[2.0], [torch.inf]]]]))
