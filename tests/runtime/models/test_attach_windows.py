"""Patterns beside dense layers, in windows of the model and behind a cache: positions count from the first token."""

from __future__ import annotations

import pytest
import torch
from runtime_models import make, padded

import patternc as pc
from patternc.runtime.errors import UnsupportedCallError
from patternc.runtime.models.masks.layout import layout_in

transformers = pytest.importorskip("transformers")

SETTINGS = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
SCORES = {"return_dict_in_generate": True, "output_logits": True}


@pytest.fixture(params=["layers 1 : p", "layers 0, 2 heads 1..3 : p"])
def plan(request):
    """Which keys are read depends on where they lie."""
    text = "pattern p causal { step local(4) & { (i, j) : j mod 3 = 0 } | self }"
    return pc.loads(f"{text} plan q {{ {request.param} }}").plans["q"]


@pytest.fixture(params=["sdpa", "eager"])
def model(request):
    return make("mistral", implementation=request.param, sliding_window=6)


@pytest.mark.parametrize("padding", [None, "left"])
@torch.no_grad()
def test_a_cache_that_keeps_all_equals_none(model, plan, padding):
    tokens = torch.randint(3, 97, (2, 10))
    mask = torch.ones_like(tokens) if padding is None else padded(tokens, padding)
    pc.attach(model, plan)
    cache = transformers.DynamicCache()
    cached = model.generate(tokens, attention_mask=mask, **SETTINGS, **SCORES, past_key_values=cache)
    whole = model.generate(tokens, attention_mask=mask, **SETTINGS, **SCORES, use_cache=False)
    torch.testing.assert_close(cached.logits, whole.logits, rtol=1e-4, atol=1e-4)


def test_a_cache_that_drops_keys_is_refused(model, plan):
    pc.attach(model, plan)
    with pytest.raises(UnsupportedCallError, match=r"dropped the first \d+ keys, .* pass past_key_values=DynamicCache"):
        model.generate(torch.randint(3, 97, (2, 10)), **SETTINGS)


@torch.no_grad()
def test_a_cache_that_drops_keys_of_dense_layers_alone():
    """Layers 0 and 2 have windows, and layer 1, which runs the pattern, sees all."""
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    model = make("qwen2", use_sliding_window=True, sliding_window=6, layer_types=kinds)
    pc.attach(model, pc.loads("pattern p causal { step columns({1, 4}) | self } plan q { layers 1 : p }").plans["q"])
    tokens = torch.randint(3, 97, (2, 10))
    cached = model.generate(tokens, **SETTINGS, **SCORES)
    whole = model.generate(tokens, **SETTINGS, **SCORES, use_cache=False)
    torch.testing.assert_close(cached.logits, whole.logits, rtol=1e-4, atol=1e-4)


def test_a_mask_that_does_not_tell():
    """As where it is traced: keys before the window may be padding, or may not."""
    back = torch.arange(8, 10)[:, None] - torch.arange(10)
    mask = ((back >= 0) & (back < 4))[None, None]
    with pytest.raises(UnsupportedCallError, match="a window of 4 does not tell which of the keys before it exist"):
        layout_in(mask, 1, 2, causal=True, window=4)
    within = (back >= 0)[None, None]
    assert layout_in(within, 1, 2, causal=True, window=9).spans.tolist() == [[0, 10]]
