"""Patterns inside tiny random models, against the same model under an explicit mask."""

from __future__ import annotations

import copy

import pytest
import torch
from runtime_models import CONFIGS, LEFT, RIGHT, close, explicit, logical_positions, make, padded

import patternc as pc
from patternc.runtime.errors import AttachError


@pytest.fixture(params=list(CONFIGS))
def model(request):
    return make(request.param)


@pytest.fixture
def llama():
    return make("llama")


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 19))


def attach(model, pattern, engine="reference"):
    return pc.attach(model, pattern, engine=engine)


both_engines = pytest.mark.parametrize("engine", ["reference", "compose"])


@torch.no_grad()
def test_dense_equals_the_models_own_attention(model, patterns, tokens):
    before = model(tokens).logits
    with attach(model, patterns("dense")):
        close(model(tokens).logits, before)


@torch.no_grad()
@both_engines
@pytest.mark.parametrize("name", ["window", "factorized"])
def test_a_pattern_equals_its_explicit_mask(model, patterns, tokens, name, engine):
    pattern = patterns(name)
    theirs = model(tokens, attention_mask=explicit(pattern.mask(19)).expand(2, -1, -1, -1)).logits
    assert not torch.allclose(theirs, model(tokens).logits, atol=1e-2)
    with attach(model, pattern, engine):
        close(model(tokens).logits, theirs)


@torch.no_grad()
@both_engines
@pytest.mark.parametrize("side", [LEFT, RIGHT])
@pytest.mark.parametrize("name", ["dense", "factorized", "tail"])
def test_padding_does_not_move_the_pattern(model, patterns, tokens, side, name, engine):
    padding = padded(tokens, side)
    positions = logical_positions(padding)
    short = patterns(name).mask(14), patterns(name).mask(19)
    mask = torch.cat([explicit(m, p[None]) for m, p in zip(short, padding, strict=True)])
    theirs = model(tokens, attention_mask=mask, position_ids=positions).logits
    with attach(model, patterns(name), engine):
        mine = model(tokens, attention_mask=padding, position_ids=positions).logits
    close(mine[padding.bool()], theirs[padding.bool()])


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"prefill_chunk_size": 5}, {"num_beams": 2}])
def test_generate_equals_the_models_own(model, patterns, tokens, options):
    padding = padded(tokens, LEFT)
    settings = {"attention_mask": padding, "max_new_tokens": 6, "do_sample": False, "pad_token_id": 0} | options
    theirs = model.generate(tokens, **settings)
    with attach(model, patterns("dense")):
        assert torch.equal(model.generate(tokens, **settings), theirs)


@torch.no_grad()
@pytest.mark.parametrize("name", ["window", "factorized"])
@pytest.mark.parametrize("chunk", [None, 4])
def test_generate_with_the_cache_equals_no_cache(model, patterns, tokens, name, chunk):
    padding = padded(tokens, LEFT)
    settings = {"attention_mask": padding, "max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    with attach(model, patterns(name)):
        cached = model.generate(tokens, **settings, prefill_chunk_size=chunk)
        assert torch.equal(cached, model.generate(tokens, **settings, use_cache=False))


@torch.no_grad()
@both_engines
def test_decode_logits_equal_the_whole_forward(model, patterns, tokens, engine):
    with attach(model, patterns("factorized"), engine):
        whole = model(tokens, use_cache=False).logits
        first = model(tokens[:, :11], use_cache=True)
        second = model(tokens[:, 11:18], past_key_values=first.past_key_values)
        third = model(tokens[:, 18:], past_key_values=second.past_key_values)
    close(torch.cat([first.logits, second.logits, third.logits], 1), whole)


@both_engines
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_equal_those_under_the_explicit_mask(patterns, tokens, kind, checkpointing, engine):
    model = make(kind, **({"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0} if kind == "gpt2" else {}))
    pattern = patterns("window")
    model.train()
    model(tokens, labels=tokens, attention_mask=explicit(pattern.mask(19)).expand(2, -1, -1, -1)).loss.backward()
    theirs = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    if checkpointing:
        model.gradient_checkpointing_enable()
    with attach(model, pattern, engine):
        model(tokens, labels=tokens, use_cache=False).loss.backward()
    for name, parameter in model.named_parameters():
        close(parameter.grad, theirs[name])


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_detach_restores_bit_for_bit(patterns, tokens, implementation):
    model = make("llama", implementation=implementation)
    state = copy.deepcopy(model.state_dict())
    names = {name: sorted(vars(module)) for name, module in model.named_modules()}
    config, before = model.config.to_dict(), model(tokens).logits
    random_state = torch.get_rng_state()
    handle = attach(model, patterns("window"))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model.config.to_dict() == config  # nothing of ours can reach a saved config.json
    handle.detach()
    handle.detach()
    assert not handle.attached
    assert torch.equal(model(tokens).logits, before)
    assert model.config._attn_implementation == implementation
    assert {name: sorted(vars(module)) for name, module in model.named_modules()} == names
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@torch.no_grad()
def test_attaching_keeps_the_training_modes(llama, patterns):
    llama.train()
    llama.model.layers[1].eval()
    modes = [module.training for module in llama.modules()]
    attach(llama, patterns("window"))
    assert [module.training for module in llama.modules()] == modes


@torch.no_grad()
def test_a_copy_of_an_attached_model_runs_the_pattern(llama, patterns, tokens):
    attach(llama, patterns("window"))
    close(copy.deepcopy(llama)(tokens).logits, llama(tokens).logits)


@torch.no_grad()
def test_torch_compile_of_an_attached_model(llama, patterns, tokens):
    torch.compiler.reset()
    padding = padded(tokens, LEFT)
    with attach(llama, patterns("window")):
        eager = llama(tokens, attention_mask=padding, use_cache=False).logits
        compiled = torch.compile(llama, fullgraph=True, backend="aot_eager")
        mine = compiled(input_ids=tokens, attention_mask=padding, use_cache=False).logits
    close(mine[padding.bool()], eager[padding.bool()])


@torch.no_grad()
def test_the_bfloat16_model_runs_under_its_own_dtype(patterns, tokens):
    model = make("llama").to(torch.bfloat16)
    with attach(model, patterns("window")):
        assert model(tokens).logits.isfinite().all()


@torch.no_grad()
@both_engines
@pytest.mark.parametrize("use_cache", [False, True])
def test_autocast_casts_as_for_the_models_own_attention(llama, patterns, tokens, use_cache, engine):
    exact = llama(tokens).logits
    with torch.autocast("cpu", torch.bfloat16):
        theirs = llama(tokens, use_cache=use_cache).logits
        with attach(llama, patterns("dense"), engine):
            mine = llama(tokens, use_cache=use_cache).logits
    assert mine.dtype == theirs.dtype
    assert (mine - exact).abs().max() <= 2 * (theirs - exact).abs().max()


def test_training_under_autocast_and_torch_compile(llama, patterns, tokens):
    torch.compiler.reset()
    attach(llama.train(), patterns("factorized"), "compose")

    def loss(ids):
        with torch.autocast("cpu", torch.bfloat16):
            return llama(input_ids=ids, labels=ids, use_cache=False).loss

    loss(tokens).backward()
    theirs = {name: parameter.grad.clone() for name, parameter in llama.named_parameters()}
    llama.zero_grad()
    torch.compile(loss, fullgraph=True, backend="aot_eager")(tokens).backward()
    for name, parameter in llama.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name], rtol=0.05, atol=0.01)


def test_the_handle_describes_and_verifies(llama, patterns):
    handle = attach(llama, patterns("window"))
    assert handle.describe()[2] == "2 model.layers.2.self_attn: window (reference)"
    handle.verify()
    llama.set_attn_implementation("sdpa")
    with pytest.raises(AttachError, match="no pattern is in force"):
        handle.verify()


def test_the_handle_tells_how_fast_a_length_is_predicted_to_be(llama, patterns):
    with attach(llama, patterns("window"), engine="compose") as handle:
        lines = handle.describe(length=2000)
    choice = (
        handle.bindings[2]
        .groups[0]
        .compiled.predict(2000, heads=llama.config.num_attention_heads, key_heads=llama.config.num_key_value_heads)
        .forward
    )
    expected = f"as {choice.chosen.name}: {choice.speedup:.2f} times as fast as dense at n = 2,000"
    assert lines[2] == f"2 model.layers.2.self_attn: window (compose), {expected}"


def test_a_binding_that_was_lost_is_noticed(llama, patterns):
    handle = attach(llama, patterns("window"))
    del llama.model.layers[1].self_attn._patternc_binding
    with pytest.raises(AttachError, match="without a binding"):
        handle.verify()
