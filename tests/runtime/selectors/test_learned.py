"""From the text of a pattern to the modules of a layer: names, options, defaults, refusals."""

from __future__ import annotations

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned

import patternc as pc
from patternc.library import catalogue
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import (
    Gated,
    Granularity,
    Importance,
    Inputs,
    Learned,
    Pooled,
    TopK,
    TopKBlocks,
    TopKKeys,
)
from patternc.runtime.selectors.importance import ImportanceScorer
from patternc.runtime.selectors.scoring.block_scorers import BlockScorer, MeanScorer
from patternc.runtime.selectors.topk import TokenScorer

CROSS, CAUSAL = Direction.CROSS, Direction.CAUSAL


def test_every_option_arrives() -> None:
    selectors = {
        text: learned(text, "causal").selectors["s"]
        for text in (
            "importance(budget = 30%, gate = sigmoid)",
            "topk(k = 3, per = head, relax = lapsum)",
            "topk_blocks(k = 5, block = 8, scores = pooled, forced = [first], relax = sparsek)",
            "topk_keys(k = 6, tile = 2, forced = [], relax = lapsum)",
            "granularity(block = 16, levels = [coarse, fine], budget = 50%)",
        )
    }
    importance, topk, blocks, keys, levels = selectors.values()
    assert isinstance(importance, Importance) and (importance.budget, importance.gate) == (0.3, "sigmoid")
    assert isinstance(topk, TopK) and (topk.k, topk.relax, topk.scorer.score.out_features) == (3, "lapsum", 4)
    assert isinstance(blocks, TopKBlocks) and isinstance(blocks.scorer, MeanScorer)
    assert (blocks.k, blocks.block, blocks.forced, blocks.relax) == (5, 8, ("first",), "sparsek")
    assert isinstance(keys, TopKKeys) and (keys.k, keys.tile, keys.forced, keys.relax) == (6, 2, (), "lapsum")
    assert isinstance(levels, Granularity)
    assert (levels.block, levels.levels, levels.budget) == (16, ("coarse", "fine"), 0.5)


def test_the_defaults_are_the_language_s() -> None:
    blocks, keys, cross = (
        learned(*arguments).selectors["s"]
        for arguments in (
            ("topk_blocks(k = 2)", "causal"),
            ("topk_keys(k = 2)", "causal"),
            ("topk_blocks(k = 2)", "cross"),
        )
    )
    assert isinstance(blocks.scorer, BlockScorer) and (blocks.block, blocks.forced) == (64, ("first", "diagonal"))
    assert (keys.tile, keys.forced, cross.forced) == (64, ("diagonal",), ())


@pytest.mark.parametrize("name", catalogue.names())
def test_every_stock_pattern_that_learns(name: str) -> None:
    for pattern in pc.load(f"library:{name}").patterns.values():
        bound = pattern.bind()
        layer = Learned(bound, SHAPE)
        assert set(layer.selectors) == {selector.name for selector in bound.bound.selectors}
        if not layer.selectors and not layer.pools:
            continue
        inputs = layer_inputs(70, 50 if bound.bound.direction is CROSS else None)
        found = layer.double()(inputs, torch.randn_like(inputs.key.heads))
        assert len(found) == len(layer.selectors) + len(layer.pools)
        assert all(0 <= density <= 1 for one in found.values() for density in one.density.flatten().tolist())


def test_gates_and_pools_by_name() -> None:
    pattern = pc.loads("pattern p causal { step self | gated local(3) | gated strided(2) | pooled(4) }")["p"].bind()
    layer, inputs = Learned(pattern, SHAPE), layer_inputs(9)
    assert layer.gate_names == ("gated local(3)", "gated strided(2)")
    assert layer.gate("gated local(3)").log_gate.shape == (SHAPE.query_heads,)
    assert set(layer(inputs, torch.randn_like(inputs.key.heads))) == {"pooled(4)"}
    with pytest.raises(ArgumentError, match=r"give the values that pooled\(4\) summarises"):
        layer(inputs)
    with pytest.raises(KeyError, match="there are 'gated local"):
        layer.gate("gated self")


def test_a_state_returns() -> None:
    source, target = (learned("topk_blocks(k = 2, block = 4)", "causal") for _ in range(2))
    target.load_state_dict(source.state_dict())
    inputs = layer_inputs(20)
    assert torch.equal(source(inputs)["s"].blocks, target(inputs)["s"].blocks)


@pytest.mark.parametrize("hard", [False, True])
def test_a_gate_per_head(hard: bool) -> None:
    gate = Gated(3, hard=hard)
    gate.logits.data = torch.tensor([-1.0, 0.5, 3.0])
    log_gate = gate.eval()().log_gate
    if hard:
        assert log_gate.tolist() == [-torch.inf, 0, 0]
    else:
        assert log_gate.exp().tolist() == pytest.approx(torch.sigmoid(gate.logits).tolist())
    (gradient,) = torch.autograd.grad(log_gate[1:].sum(), gate.logits)
    assert (gradient != 0).tolist() == [False, True, True]
    drawn = torch.stack([gate.train()().log_gate.isneginf() for _ in range(200)]).double().mean(0)
    assert (0 < drawn[0] < 1) if hard else (drawn == 0).all()


def test_training_draws_and_evaluation_does_not() -> None:
    layer, inputs = learned("importance()", "bidirectional"), layer_inputs(30)
    quiet = [layer.eval()(inputs)["s"].until for _ in range(2)]
    drawn = [layer.train()(inputs)["s"].until for _ in range(2)]
    assert torch.equal(*quiet) and not torch.equal(*drawn)
    assert torch.equal(*[learned_sigmoid(inputs).until for _ in range(2)])


def learned_sigmoid(inputs: Inputs):
    torch.manual_seed(3)
    return learned("importance(gate = sigmoid)", "bidirectional").train()(inputs)["s"]


def test_nothing_is_decided_at_first() -> None:
    scorer = ImportanceScorer(64, rows=True)
    columns, rows = scorer(Inputs.self_attention(torch.randn(1, 100, 64)))
    assert columns.abs().max() < 0.1 and rows.abs().max() < 0.1


HIDDEN = torch.randn(2, 6, SHAPE.width)
HEADS = torch.randn(2, 2, 6, 6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TopKBlocks(CROSS, MeanScorer(), k=2, forced=["diagonal"]), "no place among the keys"),
        (lambda: TopKBlocks(CAUSAL, MeanScorer(), k=1), "choose a larger k"),
        (lambda: TopKBlocks(CAUSAL, MeanScorer(), k=3, forced=["last"]), "choose among first, diagonal"),
        (lambda: TopKBlocks(CAUSAL, MeanScorer(), k=3, relax="softmax"), "choose one of sparsek"),
        (lambda: Granularity(CROSS, MeanScorer(), block=6), "multiple of 4, or leave `medium`"),
        (lambda: Granularity(CROSS, MeanScorer(), levels=("skip",)), "one that does not skip"),
        (lambda: Granularity(CROSS, MeanScorer(), levels=("best",)), "choose among skip"),
        (lambda: Importance(CAUSAL, MeanScorer(), gate="step"), "choose one of gumbel_sigmoid"),
        (lambda: Pooled(CAUSAL, 0), "at least one token"),
        (lambda: Gated(0), "at least one head"),
        (lambda: TopK(CAUSAL, TokenScorer(12, 1), k=2)(Inputs.self_attention(HIDDEN), soft=True), "leaks the future"),
        (lambda: TopK(CAUSAL, TokenScorer(12, 1), k=2)(Inputs.self_attention(q=HEADS, k=HEADS)), "reads hidden"),
        (lambda: TopK(CAUSAL, TokenScorer(12, 1), k=2)(Inputs.cross(HIDDEN, HIDDEN[:, :3])), "6 queries and 3 keys"),
        (lambda: TopKBlocks(CAUSAL, MeanScorer(), k=2)(Inputs.self_attention(HIDDEN)), "reads heads"),
        (lambda: TopKBlocks(CAUSAL, MeanScorer(), k=2)(Inputs.self_attention()), "neither hidden states nor heads"),
        (lambda: Pooled(CAUSAL, 2)(Inputs.self_attention(q=HEADS, k=HEADS), HEADS[:, :, :3]), "a value for every key"),
        (lambda: MeanScorer()(Inputs.self_attention(q=torch.randn(2, 3, 6, 6), k=HEADS), 2, CAUSAL), "3 heads and 2"),
        (lambda: Inputs.self_attention(HIDDEN[0]), r"give \[batch, tokens, width\]"),
        (lambda: Inputs.self_attention(q=HIDDEN, k=HEADS), r"give \[batch, heads, tokens, head_dim\]"),
        (lambda: Inputs.self_attention(HIDDEN[:, :5], HEADS, HEADS), "the same batch and the same tokens"),
        (lambda: Inputs.self_attention(HIDDEN, lengths=torch.ones(2)), r"give ints of shape \[2\]"),
        (
            lambda: Inputs.self_attention(HIDDEN, lengths=torch.tensor([1, 10**6])),
            "lengths': 1000000 of 6 tokens",
        ),
        (lambda: Inputs.self_attention(HIDDEN, lengths=torch.tensor([-1, 1])), "give numbers from 0 to"),
    ],
)
def test_refusals(make, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    "declaration", ["importance()", "topk(k = 3)", "topk_blocks(k = 2, block = 4)", "topk_keys(k = 3)"]
)
def test_gates_in_float32_beside_a_model_in_bfloat16(declaration: str) -> None:
    layer, wide = learned(declaration, "causal").float(), layer_inputs(24)
    half = Inputs.self_attention(*(x.bfloat16() for x in (wide.query.hidden, wide.query.heads, wide.key.heads)))
    selection = layer(half)["s"]
    gate = selection.column_gate if hasattr(selection, "column_gate") else selection.log_gate
    assert gate.dtype == torch.float32 and gate.exp().eq(1).any()


def test_a_nan_is_no_choice() -> None:
    layer, inputs = learned("topk_blocks(k = 2, block = 4)", "causal"), layer_inputs(12)
    inputs.key.heads[0, 0, 3] = torch.nan
    with pytest.raises(ArgumentError, match="NaN"):
        layer(inputs)
