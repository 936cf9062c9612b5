"""Models whose scores are more than q.k: capped logits (Gemma 2), sinks (gpt-oss), beside their own eager attention."""

from __future__ import annotations

import pytest
import torch
from runtime_models import COMMON, close

import patternc as pc
from patternc.runtime.errors import UnsupportedCallError

transformers = pytest.importorskip("transformers")

FULL = {"layer_types": ["full_attention"] * 3}
MODELS = {
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", {"head_dim": 8, "attn_logit_softcapping": 2.0}),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", {"head_dim": 8}),
    "gpt_oss": (
        "GptOssConfig", "GptOssForCausalLM", {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1},
    ),
}  # fmt: skip
engines = pytest.mark.parametrize("engine", ["reference", "compose"])


def build(kind, **changes):
    config, model, own = MODELS[kind]
    settings = getattr(transformers, config)(**COMMON | own | changes)
    torch.manual_seed(1)
    built = getattr(transformers, model)._from_config(settings, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if "sinks" in name:
                parameter.copy_(torch.linspace(-2, 3, len(parameter)))
            elif "norm" not in name and "expert" not in name:
                parameter.mul_(4)
    return built


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 19))


@torch.no_grad()
@engines
@pytest.mark.parametrize("kind", MODELS)
def test_dense_equals_the_models_own_attention(patterns, tokens, kind, engine):
    model = build(kind, **FULL)
    theirs = model(tokens, use_cache=False).logits
    with pc.attach(model, patterns("dense"), engine=engine):
        close(model(tokens, use_cache=False).logits, theirs)


@torch.no_grad()
@pytest.mark.parametrize("kind", MODELS)
def test_a_pattern_within_the_models_own_window(patterns, tokens, kind):
    """Layers of both types: a local window of 4 lies within one of 5, and the padding is kept."""
    padding = torch.ones_like(tokens)
    padding[0, :5] = 0
    narrow, wide = build(kind, sliding_window=4), build(kind, sliding_window=5)
    assert "sliding_attention" in narrow.config.layer_types
    theirs = build(kind, sliding_window=4, layer_types=["sliding_attention"] * 3)(
        tokens, attention_mask=padding, use_cache=False
    ).logits
    wide.load_state_dict(narrow.state_dict())
    with pc.attach(wide, patterns("window"), engine="compose"):
        mine = wide(tokens, attention_mask=padding, use_cache=False).logits
    close(mine[padding.bool()], theirs[padding.bool()])
    with pytest.raises(UnsupportedCallError, match="sliding_window=3 is not implemented for pattern 'window'"):
        pc.attach(build(kind, sliding_window=3), patterns("window"))


@engines
@pytest.mark.parametrize("kind", MODELS)
def test_gradients_equal_those_of_the_models_own_attention(patterns, tokens, kind, engine):
    model = build(kind, **FULL)
    model(tokens, labels=tokens, use_cache=False).loss.backward()
    theirs = {name: x.grad.clone() for name, x in model.named_parameters() if x.grad is not None}
    assert kind != "gpt_oss" or any("sinks" in name and gradient.any() for name, gradient in theirs.items())
    model.zero_grad()
    with pc.attach(model, patterns("dense"), engine=engine):
        model(tokens, labels=tokens, use_cache=False).loss.backward()
    for name, gradient in theirs.items():
        close(model.get_parameter(name).grad, gradient)


@torch.no_grad()
@pytest.mark.parametrize("kind", MODELS)
def test_generate_and_heads_apart(plans, tokens, kind):
    model = build(kind, **FULL)
    settings = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    theirs = model.generate(tokens, **settings)
    with pc.attach(model, plans("layers all heads 1, 3..5 : dense"), engine="compose"):
        assert torch.equal(model.generate(tokens, **settings), theirs)
