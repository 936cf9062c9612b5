"""Queries of a cross pattern that arrive one after the other: what one selects, no later one changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned, pairs_of

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs
from patternc.runtime.selectors.dense import written_out
from patternc.runtime.selectors.scoring.block_scorers import MeanScorer

NQ, NK, BLOCK = 14, 11, 4
DECLARATIONS = [
    "topk_blocks(k = 2, block = 4, forced = [first])",
    "topk_blocks(k = 2, block = 3, scores = pooled, forced = [])",
    "topk_keys(k = 3, tile = 5, forced = [])",
    "granularity(block = 4)",
    "topk(k = 3)",
    "importance(budget = 30%)",
]
POOLING = DECLARATIONS[:4]


def arriving(inputs: Inputs) -> Inputs:
    query, key = inputs.query, inputs.key
    return Inputs.cross(
        query.hidden, key.hidden, query.heads, key.heads, query.lengths, key.lengths, arriving=True
    )  # fmt: skip


def changed_behind(inputs: Inputs, place: int) -> Inputs:
    """Other queries behind that place."""
    hidden, heads = (torch.cat([x[..., : place + 1, :], x[..., place + 1 :, :].flip(-2) * 3 + 1], -2)
                     for x in (inputs.query.hidden, inputs.query.heads))  # fmt: skip
    return Inputs(replace(inputs.query, hidden=hidden, heads=heads), inputs.key)


def read(layer, inputs: Inputs) -> list[torch.Tensor]:
    """Keys, and summaries of each size, that each query reads."""
    selection = layer.select(inputs)["s"]
    k = inputs.key.heads
    _, summaries = written_out(selection, inputs, k, k, SHAPE.query_heads)
    return [pairs_of(selection, inputs), *(each.pairs for each in summaries)]


def same_up_to(layer, inputs: Inputs, place: int) -> bool:
    found = zip(read(layer, inputs), read(layer, changed_behind(inputs, place)), strict=True)
    return all(torch.equal(one[:, :, : place + 1], other[:, :, : place + 1]) for one, other in found)


@torch.no_grad()
@pytest.mark.parametrize("lengths", [None, [NQ, 9]])
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_later_queries_change_nothing_before_them(declaration: str, lengths: list[int] | None) -> None:
    layer, inputs = learned(declaration, "cross"), layer_inputs(NQ, NK, lengths=lengths, key_lengths=[NK, 7])
    assert all(same_up_to(layer, arriving(inputs), place) for place in range(NQ))
    if declaration in POOLING:
        assert not all(same_up_to(layer, inputs, place) for place in range(NQ))


@torch.no_grad()
def test_the_output_of_a_layer() -> None:
    text = "pattern p cross { learn s = granularity(block = 4) "
    pattern = pc.loads(text + " step refine(s) }")["p"].bind()
    layer = pc.compile(pattern, heads=4, kv_heads=2, head_dim=6, hidden_size=12, dtype=torch.float64).eval().double()
    inputs = arriving(layer_inputs(NQ, NK))
    k = inputs.key.heads
    whole = layer(inputs.query.heads, k, k, inputs=inputs)
    for place in range(NQ):
        other = changed_behind(inputs, place)
        found = layer(other.query.heads, k, k, inputs=other)
        torch.testing.assert_close(found[:, :, : place + 1], whole[:, :, : place + 1])


def test_a_block_is_known_by_the_queries_that_end_with_its_first() -> None:
    inputs = arriving(layer_inputs(NQ, NK))
    scores = MeanScorer()(inputs, BLOCK, Direction.CROSS)
    for a in range(-(-NQ // BLOCK)):
        for b in range(-(-NK // BLOCK)):
            q = inputs.query.heads[1, :2, max(0, BLOCK * a - BLOCK + 1) : BLOCK * a + 1].mean((0, 1))
            k = inputs.key.heads[1, 0, BLOCK * b : BLOCK * b + BLOCK].mean(0)
            torch.testing.assert_close(scores[1, 0, a, b], q @ k * 6**-0.5, atol=1e-11, rtol=1e-11)
