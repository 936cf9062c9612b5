"""Watching learned layers, running them dense, and what is refused of them."""

from __future__ import annotations

import pytest
import torch
from learned_models import attached, pattern, plan
from runtime_models import LEFT, close, make, padded

import patternc as pc
from patternc.runtime.errors import AttachError, PlanError, UnsupportedCallError


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 14))


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_dense_is_the_model_itself(tokens, implementation):
    plain = make("llama", implementation=implementation)
    padding = padded(tokens, LEFT)
    before = plain(tokens).logits, plain(tokens, attention_mask=padding).logits
    handle = pc.attach(plain, pattern("blocks"))
    sparse = plain(tokens).logits
    with handle.dense(), handle.watch() as seen:
        assert torch.equal(plain(tokens).logits, before[0])
        assert torch.equal(plain(tokens, attention_mask=padding).logits, before[1])
    assert [each.selections for each in seen.values()] == [None] * 3
    assert torch.equal(plain(tokens).logits, sparse) and not torch.allclose(sparse, before[0], atol=1e-2)


@torch.no_grad()
def test_what_dense_layers_would_choose(tokens):
    model, handle = attached("llama", "blocks")
    padding = padded(tokens, LEFT)
    with handle.watch() as sparse:
        model(tokens, attention_mask=padding)
    with handle.watch() as seen, handle.dense(select=True):
        model(tokens, attention_mask=padding)
    assert torch.equal(seen[0].selections["b"].blocks, sparse[0].selections["b"].blocks)
    assert torch.equal(seen[0].spans, sparse[0].spans)
    assert seen[0].spans.tolist() == [[5, 14], [0, 14]]
    assert seen[0].inputs.key.lengths.tolist() == [9, 14]
    close(seen[0].k, sparse[0].k)
    assert not seen[0].k[0, :, 9:].any()  # tokens first, and nothing behind them
    assert seen[0].scale == model.model.layers[0].self_attn.scaling


@torch.no_grad()
def test_blocks_of_watching_may_nest(tokens):
    model, handle = attached("llama", "blocks")
    with handle.watch() as outer:
        with handle.watch() as inner:
            model(tokens)
        first = outer[0]
        assert inner[0] is first
        model(tokens[:, :9])
        assert inner[0] is first and outer[0].q.shape[2] == 9
    model(tokens)
    assert outer[0].q.shape[2] == 9


@torch.no_grad()
def test_exceptions_leave_nothing_behind(tokens):
    model, handle = attached("llama", "blocks")
    before = model(tokens).logits

    def fail(*args):
        raise KeyError

    hook = model.model.layers[1].mlp.register_forward_pre_hook(fail)
    with pytest.raises(KeyError), handle.dense(select=True), handle.watch() as seen:
        model(tokens)
    hook.remove()
    assert list(seen) == [0, 1]
    assert torch.equal(model(tokens).logits, before)
    assert seen[0].q.shape[2] == 14 and list(seen) == [0, 1]
    handle.verify()


@torch.no_grad()
def test_a_module_called_inside_itself_keeps_its_own_inputs(tokens):
    """A forward that runs the layer on other states first gives what it gives alone."""
    model, _ = attached("llama", "blocks")
    before = model(tokens, use_cache=False).logits
    module = model.model.layers[1].self_attn
    calls = []

    def again(inner, args, kwargs):
        if not calls:
            calls.append(1)
            inner(**{**kwargs, "hidden_states": torch.randn_like(kwargs["hidden_states"])})

    hook = module.register_forward_pre_hook(again, with_kwargs=True)
    assert torch.equal(model(tokens, use_cache=False).logits, before)
    hook.remove()
    assert calls


@torch.no_grad()
def test_gradients_pass_through_what_is_watched(tokens):
    model, handle = attached("llama", "blocks")
    with torch.enable_grad(), handle.dense(), handle.watch() as seen:
        model(tokens)
    assert seen[1].q.requires_grad and seen[1].inputs.query.hidden.requires_grad


def test_a_detached_handle_watches_nothing():
    model, handle = attached("llama", "blocks")
    handle.detach()
    for ask in (handle.watch, handle.dense):
        with pytest.raises(AttachError, match="this handle is detached"), ask():
            pass
    positional = pc.attach(model, pattern("window"))
    with pytest.raises(AttachError, match="no pattern of this attachment has learned terms"), positional.watch():
        pass


@torch.no_grad()
def test_what_was_taken_out_of_a_module_is_missed(tokens):
    model, handle = attached("llama", "blocks")
    module = model.model.layers[1].self_attn
    del module.patternc
    with pytest.raises(AttachError, match="layer 1 has lost its submodule 'patternc'"):
        handle.verify()
    handle.detach()
    pc.attach(model, pattern("blocks"))
    module._forward_pre_hooks.clear()
    with pytest.raises(AttachError, match="does not hand its keyword arguments on"):
        model(tokens)


@torch.no_grad()
def test_detaching_while_dense(tokens):
    model, handle = attached("llama", "blocks")
    with handle.dense():
        handle.detach()
    assert model.config._attn_implementation == "sdpa"
    assert torch.equal(model(tokens).logits, make("llama")(tokens).logits)


@pytest.mark.parametrize(
    "body", ["layers all heads 0..2 : blocks", "layers 0 heads 0..2 : window\n layers 0 heads 3..5 : blocks"]
)
def test_a_part_of_the_heads_is_refused(body):
    model = make("llama")
    with pytest.raises(PlanError, match="'blocks' has learned terms and runs in all heads of a layer"):
        pc.attach(model, plan(body))
    assert model.config._attn_implementation == "sdpa"
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_steps_of_their_own_are_refused():
    text = "pattern two causal { learn t = topk(k = 2) step local(2) step columns(t) }"
    steps = pc.loads(text + " plan p { layers all : two interleaved }").plans["p"]
    with pytest.raises(PlanError, match="its steps together"):
        pc.attach(make("llama"), steps)


@torch.no_grad()
def test_calls_that_cannot_be_honoured(tokens):
    model, _ = attached("llama", "blocks")
    packed = torch.cat([torch.arange(6), torch.arange(8)]).expand(2, -1)
    with pytest.raises(UnsupportedCallError, match="several sequences in one row"):
        model(tokens, position_ids=packed, use_cache=False)
    hole = torch.ones_like(tokens)
    hole[0, 3] = 0
    with pytest.raises(UnsupportedCallError, match="hole"):
        model(tokens, attention_mask=hole)
    model.config.attention_dropout = 0.1
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.1
    with pytest.raises(UnsupportedCallError, match="dropout"):
        model.train()(tokens)


@torch.no_grad()
def test_the_models_own_window_is_refused(tokens):
    with pytest.raises(UnsupportedCallError, match="sliding_window=4 is not implemented for pattern 'blocks'"):
        pc.attach(make("mistral", sliding_window=4), pattern("blocks"))(tokens)


def test_what_cannot_be_attached():
    with pytest.raises(AttachError, match="is bidirectional, but layer 0 is causal"):
        pc.attach(make("llama"), pattern("both"))
    with pytest.raises(AttachError, match="random=3, but 'window' learns nothing"):
        pc.attach(make("llama"), pattern("window"), random=3)


def test_a_module_that_hands_nothing_on(monkeypatch):
    from transformers.models.llama.modeling_llama import LlamaAttention

    whole = LlamaAttention.forward

    def narrow(self, hidden_states, position_embeddings=None, attention_mask=None, past_key_values=None, **kwargs):
        kwargs.clear()
        return whole(self, hidden_states, position_embeddings, attention_mask, past_key_values)

    monkeypatch.setattr(LlamaAttention, "forward", narrow)
    with pytest.raises(AttachError, match="does not hand on what enters it"):
        pc.attach(make("llama"), pattern("blocks"))
    monkeypatch.setattr(
        LlamaAttention, "forward", lambda self, hidden_states, **names: whole(self, hidden_states, **names)
    )
    pc.attach(make("llama"), pattern("blocks"))
