"""Several programs in one call, each for some heads: compose against the reference, and that against itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import patternc as pc
from patternc.runtime.engines.by_heads import NOBODY, ByHeads, runs
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.reference import ReferenceEngine
from patternc.testing.agreement import error

TEXT = """
pattern near causal { step local(5) }
pattern far causal { step strided(4) | self }
pattern fixed causal { step block(8) | columns({ j : j mod 8 >= 6 }) }
"""
OWNERS = {
    "one after the other": (0, 0, 1, 1, 2, 2),
    "in turn": (0, 1, 2, 0, 1, 2),
    "one head apart": (0, 0, 0, 0, 0, 1),
    "some without a program": (0, NOBODY, 1, 1, NOBODY, 2),
}
SPANS = torch.tensor([[0, 40], [9, 33]], dtype=torch.int32)
CALLS = {
    "whole": Call(0.3),
    "padded": Call(-0.3, spans=SPANS),
    "late": Call(0.3, query_offset=17),
    "packed": Call(0.3, documents=torch.tensor([0, 13, 26, 40], dtype=torch.int32)),
}


def compiled(engine):
    return [pc.compile(pattern.bind(), head_dim=16, engine=engine) for pattern in pc.loads(TEXT).patterns.values()]


def tensors(key_heads, call, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch, rows = (1 if call.documents is not None else 2), (23 if call.query_offset else 40)
    shapes = [(batch, 6, rows, 16), (batch, key_heads, 40, 16), (batch, key_heads, 40, 16)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def everything(engine, program, tensors, call):
    """out, lse, dq, dk, dv under a fixed loss of out and lse."""
    out, lse = engine.forward(program, *tensors, call)
    weight, slope = torch.linspace(-1, 1, out.numel()).view_as(out), torch.linspace(-1, 2, lse.numel()).view_as(lse)
    return [out, lse, *engine.backward(program, weight, slope, *tensors, out, lse, call)]


@pytest.mark.parametrize("key_heads", [1, 2, 3, 6])
@pytest.mark.parametrize("owners", OWNERS.values(), ids=OWNERS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_compose_equals_the_reference(owners, key_heads, call):
    inputs = tensors(key_heads, call)
    lowered = ByHeads(tuple(one.program for one in compiled("compose")), owners)
    meanings = ByHeads(tuple(one.meaning for one in compiled("reference")), owners)
    found = everything(ComposeEngine(), lowered, inputs, call)
    wanted = everything(ReferenceEngine(), meanings, inputs, call)
    for mine, theirs in zip(found, wanted, strict=True):
        assert error(mine, theirs) < 2e-5


def test_the_reference_is_each_head_by_itself():
    inputs, owners = tensors(2, CALLS["padded"]), OWNERS["some without a program"]
    programs = compiled("reference")
    out, lse = ReferenceEngine().forward(ByHeads(tuple(one.meaning for one in programs), owners), *inputs, Call(0.25))
    for head, owner in enumerate(owners):
        if owner == NOBODY:
            assert bool((out[:, head] == 0).all() and lse[:, head].isneginf().all())
            continue
        q, k, v = inputs[0][:, [head]], inputs[1][:, [head // 3]], inputs[2][:, [head // 3]]
        wanted, wanted_lse = programs[owner](q, k, v, scale=0.25, return_lse=True)
        assert torch.equal(out[:, [head]], wanted) and torch.equal(lse[:, [head]], wanted_lse)


@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_runs_are_the_heads_with_their_key_heads(group, key_heads, data):
    heads = tuple(sorted(data.draw(st.sets(st.integers(0, group * key_heads - 1), min_size=1))))
    found = []
    for run in runs(heads, group):
        queries, keys = range(group * key_heads)[run.query], range(key_heads)[run.key]
        assert len(queries) % len(keys) == 0
        found += [(query, keys[at // (len(queries) // len(keys))]) for at, query in enumerate(queries)]
    assert found == [(head, head // group) for head in heads]


def test_what_fits_is_one_run():
    assert len(runs(tuple(range(8)), 4)) == 1
    assert len(runs((0, 1, 4, 5), 4)) == 2
    assert len(runs((0, 2, 4, 6), 4)) == 1
    assert len(runs(tuple(range(6)), 4)) == 2
