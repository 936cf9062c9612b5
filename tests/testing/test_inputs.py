"""Inputs of attention, parameters and lengths: within what a pattern and an engine take, and with the error budget."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import sample

import patternc as pc
from patternc import testing
from patternc.testing.agreement import Eager, Mismatch, agree, budgets, error, results
from patternc.testing.inputs import LAYOUTS, AttentionInputs

WINDOW = pc.loads("pattern window(w: int = 8) causal { step local(w) }")["window"]
DTYPES = ("float32", "bfloat16", "float16")


@settings(max_examples=100, deadline=None)
@given(testing.attention_inputs(WINDOW, most=60, dtypes=DTYPES))
def test_inputs_are_what_an_engine_takes(inputs: AttentionInputs) -> None:
    assert inputs.q.shape == (inputs.batch, inputs.heads, inputs.queries, inputs.head_dim)
    assert inputs.k.shape == inputs.v.shape == (inputs.batch, inputs.key_heads, inputs.keys, inputs.head_dim)
    assert {x.dtype for x in inputs.tensors} == {inputs.torch_dtype}
    program = pc.compile(WINDOW, head_dim=inputs.head_dim, dtype=inputs.torch_dtype, engine="reference")
    assert program(*inputs.tensors, **inputs.arguments).shape == inputs.q.shape


def test_every_layout_group_offset_and_span_occurs() -> None:
    drawn = sample(testing.attention_inputs(dtypes=DTYPES), 300)
    assert {inputs.layout for inputs in drawn} == set(LAYOUTS)
    assert {inputs.dtype for inputs in drawn} == set(DTYPES)
    assert {inputs.heads // inputs.key_heads for inputs in drawn} == {1, 2, 3}
    assert any(inputs.query_offset for inputs in drawn) and any(inputs.softcap for inputs in drawn)
    assert any(start == end for inputs in drawn for start, end in pairwise(inputs.documents or ()))
    assert any(start == end for inputs in drawn for start, end in inputs.spans or ())
    assert any(0 < start < end < inputs.keys for inputs in drawn for start, end in inputs.spans or ())
    assert not all(x.is_contiguous() for inputs in drawn[:50] for x in inputs.tensors)
    assert {1, 300} <= {inputs.keys for inputs in drawn} or max(inputs.keys for inputs in drawn) > 200


def test_the_same_inputs_hold_the_same_numbers() -> None:
    [inputs] = sample(testing.attention_inputs(), 1, seed=3)[:1]
    again = AttentionInputs(**{name: getattr(inputs, name) for name in AttentionInputs.__dataclass_fields__})
    assert again == inputs
    assert all(torch.equal(a, b) for a, b in zip(inputs.tensors, again.tensors, strict=True))


def test_a_cross_pattern_gets_two_lengths() -> None:
    cross = pc.loads("pattern p cross { step local(2) }")["p"]
    drawn = sample(testing.attention_inputs(cross), 100)
    assert {inputs.query_offset for inputs in drawn} == {0} and {inputs.documents for inputs in drawn} == {None}
    assert any(inputs.queries > inputs.keys for inputs in drawn) and any(
        inputs.queries < inputs.keys for inputs in drawn
    )
    program = pc.compile(cross, head_dim=drawn[0].head_dim, engine="reference")
    assert program(*drawn[0].tensors, **drawn[0].arguments).shape == drawn[0].q.shape


def test_lengths_meet_the_borders_of_tiles_and_of_the_pattern() -> None:
    drawn = set(sample(testing.lengths(WINDOW.bind(w=37)), 400))
    assert drawn <= set(range(1, 301))
    assert {36, 37, 38, 74, 111, 127, 128, 129} <= drawn
    assert max(sample(testing.lengths(most=5), 50)) == 5


FIXED = (
    "pattern p(l: int = 128, c: int = 8, g: set = {0}) causal { require 1 <= c and c <= l step fixed(l, c) | axis(g) }"
)


def test_parameters_are_drawn_within_what_is_required() -> None:
    drawn = [pattern.arguments for pattern in sample(testing.bindings(pc.loads(FIXED)["p"]), 80)]
    assert all(1 <= arguments["c"] <= arguments["l"] for arguments in drawn)
    assert len({(arguments["l"], arguments["c"]) for arguments in drawn}) > 10
    assert len({str(arguments["g"]) for arguments in drawn}) > 5


def test_given_parameters_stay_and_impossible_ones_fall_back() -> None:
    pattern = pc.loads(FIXED)["p"].bind(l=9)
    assert {drawn.arguments["l"] for drawn in sample(testing.bindings(pattern, ["l"]), 30)} == {9}
    narrow = pc.loads("pattern p(w: int = 977) causal { require w = 977 step local(w) }")["p"]
    assert {drawn.arguments["w"] for drawn in sample(testing.bindings(narrow), 20)} == {977}


# --- the error budget ---


def whole(inputs: AttentionInputs) -> bool:
    return inputs.spans is None and inputs.documents is None


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_compose_is_within_the_budget(data: st.DataObject) -> None:
    pattern = data.draw(testing.bindings(WINDOW))
    inputs = data.draw(testing.attention_inputs(pattern, most=140, dtypes=DTYPES).filter(whole))
    form = {"head_dim": inputs.head_dim}
    exact_program = pc.compile(pattern, **form, dtype=torch.float64, engine="reference")
    program = pc.compile(pattern, **form, dtype=inputs.torch_dtype, engine="compose")
    exact = results(exact_program, inputs.tensors, **inputs.arguments)
    rows = slice(inputs.query_offset, inputs.query_offset + inputs.queries)
    eager = Eager(pattern.mask(inputs.keys)[rows], inputs.torch_dtype, inputs.softcap)
    budget = budgets(results(eager, inputs.tensors, scale=inputs.scale), exact, inputs.torch_dtype)
    agree(results(program, inputs.tensors, **inputs.arguments), exact, budget=budget)


def test_a_row_without_a_key_has_no_share_in_anything() -> None:
    mask = torch.tensor([[False, False], [True, False]])
    q, k, v = torch.randn(3, 1, 1, 2, 4, dtype=torch.float64)
    out, lse, dq, dk, dv = results(Eager(mask, torch.float64), (q, k, v))
    assert torch.equal(out[0, 0], torch.stack([torch.zeros(4), v[0, 0, 0]]))
    assert lse[0, 0, 0] == -math.inf and lse[0, 0, 1].isfinite()
    assert (dq[0, 0, 0] == 0).all() and (dk[0, 0, 1] == 0).all() and (dv[0, 0, 1] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x + 0.01, "dq is off by 0.0"),
        (lambda x: x[..., :1], "dq has shape"),
        (lambda x: x.masked_fill(x == x.max(), math.nan), "dq is not finite where it should be"),
    ],
)
def test_what_differs_is_named(change, message) -> None:
    right = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2), *(torch.randn(3, 1, 1, 2, 2))]
    agree(right, right, budget=0.0)
    wrong = [*right[:2], change(right[2]), *right[3:]]
    with pytest.raises(Mismatch, match=message):
        agree(wrong, right, budget=1e-3)


def test_an_infinity_out_of_place_is_seen() -> None:
    good, bad = torch.tensor([-math.inf, 0.0]), torch.tensor([0.0, 0.0])
    assert error(good, good) == 0
    with pytest.raises(Mismatch, match="out is finite where it should not be"):
        agree([bad] * 5, [good] * 5, budget=1.0)
