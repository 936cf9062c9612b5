"""A model with capped scores: what is distilled is its own attention, cap included."""

from __future__ import annotations

import pytest
import torch
import transformers

import patternc as pc
from patternc.runtime.training import Recipe, coverage
from patternc.runtime.training.controls import compare
from patternc.runtime.training.objective import DISTIL, Objective, dense_of

SIZES = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}


@pytest.fixture
def gemma():
    config = transformers.Gemma2Config(
        num_attention_heads=6, num_key_value_heads=2, attn_logit_softcapping=0.7,
        layer_types=["full_attention"] * 2, **SIZES,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Gemma2ForCausalLM._from_config(config, attn_implementation="eager").eval().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


def test_the_teacher_is_what_the_model_attends_to(gemma):
    """Against the weights that the model's own file returns."""
    tokens = torch.randint(3, 97, (2, 21))
    with torch.no_grad():
        theirs = gemma(tokens, output_attentions=True).attentions
    handle = pc.attach(
        gemma, pc.loads("pattern p causal { learn b = topk_blocks(k = 3, block = 4) step select(b) }")["p"].bind()
    )
    with handle.dense(), handle.watch() as seen, torch.no_grad():
        gemma(tokens, use_cache=False)
    for index, layer in handle.learned.items():
        dense = dense_of(layer, seen[index])
        assert dense.softcap == 0.7
        torch.testing.assert_close(next(dense.rows(21))[:, :, 0], theirs[index])
        selections = layer.select(dense.inputs, dense.k, dense.k)
        pairs = torch.zeros(2, 6, 21, 21)
        chosen = selections["b"].blocks.repeat_interleave(3, 1)
        for element, head, i in torch.cartesian_prod(*map(torch.arange, (2, 6, 21))).tolist():
            for block in chosen[element, head, i // 4].tolist():
                pairs[element, head, i, 4 * block : min(4 * block + 4, i + 1)] = 1.0 if block >= 0 else 0.0
        torch.testing.assert_close(coverage(layer, dense, selections), (theirs[index] * pairs).sum((0, 2, 3)) / 42)


def test_the_loss_of_a_step_is_from_it(gemma):
    """Of a selector, by hand from the model's own weights; without the cap it is another number."""
    tokens = torch.randint(3, 97, (1, 16))
    with torch.no_grad():
        theirs = gemma(tokens, output_attentions=True).attentions
    subject = pc.loads("pattern p causal { learn t = topk(k = 3, per = layer) step columns(t) }")["p"].bind()
    handle = pc.attach(gemma, subject)
    objective = Objective(handle, Recipe(steps=1))
    with objective.in_force():
        found = [part.loss for part in objective.parts({"input_ids": tokens}, 0) if part.kind == DISTIL]
    with handle.dense(), handle.watch() as seen, torch.no_grad():
        gemma(tokens, use_cache=False)
    for index, layer in handle.learned.items():
        scores = layer.learned.selectors["t"].scorer(seen[index].inputs)[0, 0].detach()
        losses = []
        for i in range(1, 16):
            p = theirs[index][0, :, i, : i + 1].mean(0)
            losses.append((p * (p.log() - torch.log_softmax(scores[: i + 1], 0))).sum())
        torch.testing.assert_close(found[index].detach() * 2, torch.stack(losses).mean())


def test_controls_of_it(gemma):
    subject = pc.loads("pattern p causal { step local(40) | gated strided(2) }")["p"].bind()
    handle = pc.attach(gemma, subject)
    rows = compare(handle, torch.randint(3, 97, (40,)), window=20)
    # All that the model attends to is read.
    assert rows[1].coverage == pytest.approx(1.0) and rows[1].perplexity == pytest.approx(rows[0].perplexity)
