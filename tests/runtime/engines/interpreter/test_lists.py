"""Kernels over lists against the plain products, forward and backward: every selection, alone and together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import triton
import triton.language as tl
from learned_layers import close, data, layer, pattern, slopes

import patternc as pc
from patternc.runtime.errors import EngineError
from patternc.runtime.learned.kernels.places import in_blocks, in_tiles
from patternc.runtime.learned.kernels.run import Run

LEARN = """
    learn hot   = topk_blocks(k = 3, block = 16)
    learn warm  = topk_blocks(k = 3, block = 5)
    learn few   = importance(budget = 30%)
    learn kept  = topk(k = 3, per = head)
    learn picks = topk_keys(k = 4, tile = 6)
    learn other = topk_keys(k = 3, tile = 4, forced = [])
    learn level = granularity(block = 16)
"""
ALONE = {
    "blocks": "select(hot)",
    "ragged blocks": "select(warm)",
    "columns": "columns(few)",
    "columns of heads": "columns(kept)",
    "keys": "select(picks)",
    "summaries": "gated pooled(3)",
    "levels": "refine(level)",
    "rows": "rows(few)",
}
TOGETHER = {
    "causal": "self | select(hot) | random(2, 6) | columns(kept) | select(picks) | gated local(4)"
    " | gated select(warm) | pooled(4)",
    "bidirectional": "local(3) | axis(few) | gated refine(level) | columns(kept) | gated select(other) | select(picks)",
}


def check(step: str, direction: str, n: int, *, softcap=None, dtype=torch.float32, tolerance=1e-5) -> None:
    torch.manual_seed(0)
    subject = pattern(step, direction, LEARN)
    plain = layer(subject, dtype=torch.float32)
    kernels = layer(subject, "triton", dtype=torch.float32)
    kernels.load_state_dict(plain.state_dict())
    kernels.dtype = plain.dtype = dtype
    given = data(n, dtype=torch.float32)
    q, k, v = (x.detach().to(dtype).requires_grad_() for x in (given.q, given.k, given.v))
    spans = torch.tensor([[0, n], [n // 9, n - n // 5]], dtype=torch.int32)
    grad = torch.randn_like(given.q)
    with torch.no_grad():
        chosen = plain(q, k, v, hidden=given.hidden, spans=spans, return_selections=True).selections
    found = []
    for each in (plain, kernels):
        result = each(q, k, v, hidden=given.hidden, spans=spans, softcap=softcap, return_selections=True)
        leaves = (q, k, v, *each.parameters())
        found.append((result.out, result.lse, *slopes(result, grad.to(dtype), leaves)))
    assert chosen
    for mine, wanted in zip(*found, strict=True):
        close(mine.float(), wanted.float(), tolerance)


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("name", ALONE)
def test_each_kind_of_list(name: str, direction: str) -> None:
    if name == "rows" and direction == "causal":
        pytest.skip("a causal pattern has no rows")
    check(ALONE[name], direction, 21)


@pytest.mark.slow
@pytest.mark.parametrize("direction", TOGETHER)
def test_one_softmax_over_many_lists(direction: str) -> None:
    check(TOGETHER[direction], direction, 45)


@pytest.mark.parametrize("name", ["blocks", "columns", "summaries"])
def test_capped_scores(name: str) -> None:
    check(ALONE[name], "causal", 19, softcap=1.5)


@pytest.mark.parametrize("name", ["blocks", "keys"])
def test_low_precision(name: str) -> None:
    check(ALONE[name], "causal", 19, dtype=torch.bfloat16, tolerance=3e-2)


# More keys than queries; in the second element neither are all there.
CROSS = {
    "axis": ("axis(few)", 17, 23),
    "levels": ("refine(level)", 19, 35),
}


@pytest.mark.parametrize("name", CROSS)
def test_cross_attention(name: str) -> None:
    torch.manual_seed(0)
    step, n, nk = CROSS[name]
    learn = """
        learn few = importance(budget = 30%)  learn level = granularity(block = 16)
    """
    plain = layer(pattern(step, "cross", learn), dtype=torch.float32)
    kernels = layer(plain.pattern, "triton", dtype=torch.float32)
    kernels.load_state_dict(plain.state_dict())
    given = data(n, nk, dtype=torch.float32)
    inputs = given.inputs([n, n - 4], [nk, nk - 5])
    grad, found = torch.randn_like(given.q), []
    for each in (plain, kernels):
        result = each(given.q, given.k, given.v, inputs=inputs, return_selections=True)
        found.append((result.out, result.lse, *slopes(result, grad, (*given.leaves, *each.parameters()))))
    assert found[0][0].abs().amax() > 0
    for mine, wanted in zip(*found, strict=True):
        close(mine, wanted, 1e-5)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The elements of each launch."""
    seen, own = [], Run.of.__func__

    def watched(cls, lists, q, *others):
        seen.append(q.shape[0])
        return own(cls, lists, q, *others)

    monkeypatch.setattr(Run, "of", classmethod(watched))
    return seen


@pytest.mark.parametrize("name", ["blocks", "columns", "columns of heads", "keys", "levels", "summaries", "rows"])
def test_a_batch_that_one_grid_does_not_hold(monkeypatch: pytest.MonkeyPatch, launches: list[int], name: str) -> None:
    """Element by element; padded, so that each has lists of its own. Key heads are bundles, or query heads are."""
    largest = 4 if name == "columns of heads" else 2
    monkeypatch.setattr("patternc.runtime.learned.kernels.shares.LARGEST_GRID_Y", largest)
    check(ALONE[name], "bidirectional" if name == "rows" else "causal", 21)
    assert set(launches) == {1}


def test_terms_that_ask_others_in_several_grids(monkeypatch: pytest.MonkeyPatch, launches: list[int]) -> None:
    monkeypatch.setattr("patternc.runtime.learned.kernels.shares.LARGEST_GRID_Y", 2)
    check("random(2, 6) | select(hot) | columns(few) | gated select(picks)", "causal", 19)
    assert set(launches) == {1}


@pytest.mark.parametrize("block", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_a_probe_takes_no_part(block: int) -> None:
    """out and the gradients of q, k and v are those without it, to the last bit; that of its gate is compose's."""
    subject = pattern("local(5) | select(s)", "causal", f"learn s = topk_blocks(k = 3, block = {block})")
    plain = layer(subject, dtype=torch.float32)
    kernels = layer(subject, "triton", dtype=torch.float32)
    kernels.load_state_dict(plain.state_dict())
    given = data(5 * block, dtype=torch.float32)
    q, k, v = (x.detach().requires_grad_() for x in (given.q, given.k, given.v))
    inputs, grad = given.inputs(), torch.randn_like(given.q)
    with torch.no_grad():
        [selection] = plain.select(inputs, k, v).values()
    shape = (*selection.blocks.shape[:3], 1)
    probed = torch.where((selection.blocks == 1).any(-1, keepdim=True), -1, 1).expand(shape)

    def run(each, probe: bool):
        gate = torch.zeros(shape, requires_grad=True)
        chosen = replace(selection, probed=probed, probe_gate=gate) if probe else selection
        out = each(q, k, v, inputs=inputs, selections={"s": chosen})
        leaves = (q, k, v, gate) if probe else (q, k, v)
        return (out, *torch.autograd.grad((out * grad).sum(), leaves))

    *found, slope = run(kernels, probe=True)
    for mine, wanted in zip(found, run(kernels, probe=False), strict=True):
        assert torch.equal(mine, wanted)
    wanted = run(plain, probe=True)[-1]
    assert wanted.abs().max() > 0.1
    close(slope, wanted, 1e-5)


def test_what_no_kernel_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = pattern("select(hot)", "causal", LEARN)
    with pytest.raises(EngineError, match="head dimension 260 is over 256 for engine 'triton'; engine='compose'"):
        pc.compile(subject, heads=2, kv_heads=1, head_dim=260, hidden_size=8, engine="triton")
    monkeypatch.setattr("patternc.runtime.learned.kernels.shares.LARGEST_GRID_Y", 1)
    apart = layer(pattern("columns(kept)", "causal", LEARN), "triton", dtype=torch.float32)
    given = data(9, dtype=torch.float32)
    with pytest.raises(EngineError, match="4 heads of one batch element are over 1: give fewer heads"):
        apart(given.q, given.k, given.v, hidden=given.hidden)


def test_a_list_of_nothing() -> None:
    subject = pattern("self | columns(few)", "causal", LEARN)
    layers = [layer(subject, engine, dtype=torch.float32) for engine in ("compose", "triton")]
    for each in layers:
        for parameter in each.parameters():
            parameter.data.fill_(-1.0)
    given = data(9, dtype=torch.float32)
    hidden = given.hidden.detach().abs()
    found = [each(given.q, given.k, given.v, hidden=hidden, return_selections=True) for each in layers]
    assert not found[0].selections["few"].until.any()
    close(found[1].out, found[0].out, 1e-6)


@triton.jit
def held_far_down(table_ptr, found_ptr, before, query, keys):
    """Of the last places of two tables, in which so many places come ``before`` table_ptr."""
    i, j = tl.arange(0, 1) + query, tl.arange(0, 1) + keys - 1
    blocks = in_blocks(i, j, tl.program_id(0), 0, table_ptr - before, 0, keys, 1, 1)
    tiles = in_tiles(i, j, tl.program_id(0), 0, table_ptr - before, 0, keys, 1, 1, False)
    tl.store(found_ptr + tl.arange(0, 1), blocks & tiles)


def test_tables_of_more_than_32_bits() -> None:
    """A list of its own for each of 50,000 queries."""
    keys, found = 50_000, torch.zeros(1, dtype=torch.int32)
    held_far_down[(1,)](torch.tensor([keys], dtype=torch.int32), found, keys * keys - 1, keys - 1, keys)
    assert found.tolist() == [1]


@pytest.mark.parametrize("name", ["blocks", "columns", "keys", "levels", "summaries", "rows"])
@pytest.mark.parametrize("last", [14, 19])
def test_the_last_queries(name: str, last: int) -> None:
    torch.manual_seed(0)
    n, first = 21, 13
    given = data(n, dtype=torch.float32)
    direction = "bidirectional" if name == "rows" else "causal"
    plain = layer(pattern(ALONE[name], direction, LEARN), dtype=torch.float32)
    kernels = layer(plain.pattern, "triton", dtype=torch.float32)
    kernels.load_state_dict(plain.state_dict())
    q, grad = given.q[:, :, first:last], torch.randn_like(given.q[:, :, first:last])
    found = []
    for each in (plain, kernels):
        result = each(q, given.k, given.v, inputs=given.inputs(), query_offset=first, return_selections=True)
        found.append((result.out, result.lse, *slopes(result, grad, (*given.leaves, *each.parameters()))))
    for mine, wanted in zip(*found, strict=True):
        close(mine, wanted, 1e-5)
