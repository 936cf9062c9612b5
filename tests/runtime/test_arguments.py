"""Each wrong argument is refused by name, with what was found and what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import patternc as pc
from patternc.runtime.errors import ArgumentError, EngineError

INT = torch.int32
META = torch.device("meta")


@pytest.fixture
def program(patterns):
    return pc.compile(patterns("window"), head_dim=8, engine="reference")


def q_(*shape, **kwargs):
    return torch.zeros(*(shape or (2, 4, 5, 8)), **kwargs)


def k_(*shape, **kwargs):
    return torch.zeros(*(shape or (2, 2, 5, 8)), **kwargs)


@pytest.mark.parametrize(
    ("q", "k", "v", "kwargs", "message"),
    [
        ([1.0], k_(), k_(), {}, "argument 'q': a list; pass a torch.Tensor"),
        (q_(4, 5, 8), k_(), k_(), {}, r"argument 'q': shape \(4, 5, 8\); pass four dimensions"),
        (
            q_(),
            k_(dtype=torch.bfloat16),
            k_(),
            {},
            "argument 'k': torch.bfloat16, .* compile with dtype=torch.bfloat16",
        ),
        (q_(), k_().to(INT), k_(), {}, "argument 'k': torch.int32, .*; convert it$"),
        (q_(), k_(device=META), k_(), {}, "argument 'k': on meta, but q is on cpu"),
        (q_(2, 4, 5, 16), k_(), k_(), {}, "argument 'q': head_dim 16, .* compile with head_dim=16"),
        (q_(), k_(), k_(2, 2, 6, 8), {}, r"argument 'v': shape \(2, 2, 6, 8\), but k has \(2, 2, 5, 8\)"),
        (q_(), k_(1, 2, 5, 8), k_(1, 2, 5, 8), {}, "argument 'k': batch 1, but q has 2; expand it"),
        (q_(), k_(2, 3, 5, 8), k_(2, 3, 5, 8), {}, "argument 'q': 4 heads, but k has 3; .* multiple"),
        (q_(), k_(2, 0, 5, 8), k_(2, 0, 5, 8), {}, "argument 'q': 4 heads, but k has 0"),
        (q_(2, 0, 5, 8), k_(), k_(), {}, "argument 'q': 0 heads, but k has 2"),
        (q_(2, 4, 6, 8), k_(), k_(), {}, "argument 'query_offset': 0 with 6 queries and 5 keys"),
        (q_(), k_(), k_(), {"query_offset": -1}, "argument 'query_offset': -1"),
        (q_(), k_(), k_(), {"query_offset": 1}, "argument 'query_offset': 1 with 5 queries .* for decode pass Nk - Nq"),
        (q_(), k_(), k_(), {"scale": torch.ones(1, requires_grad=True)}, "needs a gradient; multiply q by it"),
        (q_(), k_(), k_(), {"scale": float("nan")}, "argument 'scale': nan; pass a finite number"),
        (q_(), k_(), k_(), {"scale": float("-inf")}, "argument 'scale': -inf; pass a finite number"),
        (q_(), k_(), k_(), {"scale": "0.1"}, "argument 'scale': '0.1'; pass a number"),
        (q_(), k_(), k_(), {"scale": torch.ones(2)}, r"argument 'scale': a tensor \(2,\) .*; pass one real number"),
        (q_(), k_(), k_(), {"softcap": torch.ones(1, requires_grad=True)}, "argument 'softcap': .* needs a gradient"),
        (q_(), k_(), k_(), {"softcap": "x"}, "argument 'softcap': 'x'; pass a number"),
        (q_(), k_(), k_(), {"query_offset": None}, "argument 'query_offset': None; pass an integer"),
        (q_(), k_(), k_(), {"query_offset": 0.5}, "argument 'query_offset': 0.5; pass an integer"),
        (q_(), k_(), k_(), {"max_seqlen": "x"}, "argument 'max_seqlen': 'x'; pass an integer"),
        (q_().to_sparse(), k_(), k_(), {}, "argument 'q': a tensor of layout torch.sparse_coo; pass a dense tensor"),
        (q_(), k_(), k_().to_mkldnn(), {}, "argument 'v': a tensor of layout torch._mkldnn"),
        (torch.nested.nested_tensor([q_()[0]]), k_(), k_(), {}, "argument 'q': a nested tensor; .* spans or documents"),
        (q_(), k_(), k_(), {"spans": [(0, 5)] * 2}, r"argument 'spans': a list; pass int32 \[2, 2\]"),
        (q_(), k_(), k_(), {"spans": torch.tensor([[0, 5]] * 2)}, "argument 'spans': torch.int64"),
        (q_(), k_(), k_(), {"spans": torch.zeros(1, 2, dtype=INT)}, r"argument 'spans': torch.int32 \(1, 2\)"),
        (q_(), k_(), k_(), {"spans": torch.zeros(2, 2, dtype=INT, device=META)}, "argument 'spans': on meta"),
        (
            q_(),
            k_(),
            k_(),
            {"spans": torch.tensor([[0, 5], [3, 2]], dtype=INT)},
            r"\[3, 2\]\]; .* 0 <= start <= end <= 5",
        ),
        (q_(), k_(), k_(), {"spans": torch.tensor([[0, 6], [0, 5]], dtype=INT)}, "argument 'spans'"),
        (q_(), k_(), k_(), {"softcap": 0.0}, "argument 'softcap': 0.0; pass a positive number, or None"),
        (q_(), k_(), k_(), {"softcap": float("nan")}, "argument 'softcap': nan"),
        (q_(), k_(), k_(), {"max_seqlen": 4}, "argument 'max_seqlen': 4 without documents"),
    ],
)
def test_a_wrong_call(program, q, k, v, kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        program(q, k, v, **kwargs)


def edges(*numbers, dtype=INT, **kwargs):
    return torch.tensor(numbers, dtype=dtype, **kwargs)


@pytest.mark.parametrize(
    ("documents", "kwargs", "message"),
    [
        ([0, 5], {}, r"a list; pass int32 \[documents \+ 1\]: where each document begins, .* cu_seqlens"),
        (edges(0, 5, dtype=torch.int64), {}, r"torch.int64 \(2,\); pass int32"),
        (edges([0, 5]), {}, r"torch.int32 \(1, 2\)"),
        (edges(), {}, r"torch.int32 \(0,\)"),
        (edges(0, 5, device=META), {}, "on meta, but q is on cpu"),
        (edges(0, 3, 2, 5), {}, r"\[0, 3, 2, 5\]; they must start at 0, never fall, .* tokens, 5"),
        (edges(0, 3), {}, r"\[0, 3\]; .* end at the number of tokens, 5"),
        (edges(0, *range(9)), {}, r"\[0, 0, 1, 2, ..., 6, 7, 8\]"),
        (edges(1, 5), {}, r"\[1, 5\]; they must start at 0"),
        (edges(0, 2, 5), {"spans": edges([0, 5])}, "argument 'spans': given together with documents"),
        (edges(0, 1, 5), {"max_seqlen": 3}, "argument 'max_seqlen': 3, but a document has 4 tokens"),
    ],
)
def test_wrong_documents(program, documents, kwargs, message):
    q, k = q_(1, 4, 5, 8), k_(1, 2, 5, 8)
    with pytest.raises(ArgumentError, match=message) as caught:
        program(q, k, k, documents=documents, **kwargs)
    assert caught.value.argument in ("documents", *kwargs)


def test_documents_of_a_batch_or_of_late_queries(program):
    with pytest.raises(ArgumentError, match="argument 'documents': a batch of 2; pack all documents into one row"):
        program(q_(), k_(), k_(), documents=edges(0, 5))
    with pytest.raises(ArgumentError, match="argument 'documents': 2 queries and 5 keys; each document attends"):
        program(q_(1, 4, 2, 8), k_(1, 2, 5, 8), k_(1, 2, 5, 8), documents=edges(0, 5))


def test_wrong_values_are_found_in_a_compiled_graph(program):
    torch.compiler.reset()
    run = torch.compile(lambda *x: program(*x[:3], documents=x[3]), fullgraph=True, backend="aot_eager")
    with pytest.raises(ArgumentError, match="argument 'documents'"):
        run(q_(1, 4, 5, 8), k_(1, 2, 5, 8), k_(1, 2, 5, 8), edges(0, 3))


def test_the_parts_of_the_message_are_fields(program):
    with pytest.raises(ArgumentError) as caught:
        program(q_(), k_(), k_(), query_offset=3)
    assert (caught.value.argument, caught.value.found) == ("query_offset", "3 with 5 queries and 5 keys")


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"engine": "flash"}, EngineError, "unknown engine 'flash'; choose one of reference, compose, triton, auto"),
        (
            {"dtype": torch.int8},
            EngineError,
            "does not compute in torch.int8; use one of torch.float32, torch.bfloat16",
        ),
        ({"dtype": torch.float64, "engine": "triton"}, EngineError, "does not compute in torch.float64"),
        ({"head_dim": 0}, EngineError, "head_dim 0 is not a positive integer"),
        ({"head_dim": 8.0}, EngineError, "head_dim 8.0 is not a positive integer"),
        ({"step": "first"}, IndexError, "has steps 0..0, not 'first'"),
        ({"step": 1}, IndexError, "has steps 0..0, not 1"),
        ({"step": -1}, IndexError, "has steps 0..0, not -1"),
    ],
)
def test_a_wrong_compilation(patterns, kwargs, error, message):
    with pytest.raises(error, match=message):
        pc.compile(patterns("window"), **{"head_dim": 8, "engine": "reference"} | kwargs)


@pytest.mark.parametrize("subject", ["library:fixed_factorized", pc.load("library:fixed_factorized")])
def test_what_is_no_pattern(subject):
    with pytest.raises(ArgumentError, match=r"argument 'pattern': a \w+; name one: pc.load\(\"FILE\"\)\[\"NAME\"\]"):
        pc.compile(subject)
    with pytest.raises(TypeError, match=r"has no claims: give a pattern, pc.load"):
        pc.check(subject)
    with pytest.raises(KeyError, match="library:fixed_factorized has no pattern 'fixed'; it has fixed_factorized"):
        pc.load("library:fixed_factorized")["fixed"]


def test_tensors_without_values_have_the_shapes_of_a_result(program):
    q, k = q_(device=META, requires_grad=True), k_(device=META)
    out, lse = program(q, k, k, return_lse=True)
    assert (out.shape, lse.shape, out.device, lse.dtype) == (q.shape, q.shape[:3], META, torch.float32)
    [gradient] = torch.autograd.grad(out.sum(), q)
    assert gradient.shape == q.shape and gradient.is_meta


def test_numbers_of_other_types(program, patterns):
    q, k = torch.randn(1, 1, 3, 8), torch.randn(1, 1, 5, 8)
    plain = program(q, k, k, query_offset=2, scale=0.5, softcap=2.0)
    other = program(q, k, k, query_offset=np.int64(2), scale=np.float32(0.5), softcap=torch.tensor(2.0))
    assert torch.equal(plain, other)


def test_auto_follows_the_device():
    from patternc.runtime.engines.engine import choose_engine

    assert choose_engine("auto", "cpu") == "compose"
    assert choose_engine("auto", "cuda:1") == "triton"
    assert choose_engine("reference", "cuda") == "reference"
