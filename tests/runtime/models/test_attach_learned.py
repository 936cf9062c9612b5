"""Learned patterns inside tiny random models, against the same models under the long way of what was selected."""

from __future__ import annotations

import copy

import pytest
import torch
from learned_models import CAUSAL, attached, build, make_encoder, pattern, plan, stir, under_the_long_way
from runtime_models import LEFT, RIGHT, close, explicit, logical_positions, make, padded

import patternc as pc
from patternc.runtime.learned.attention import LearnedAttention


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 14))


def logits_of(model, tokens, padding):
    causal = "Causal" in type(model).__name__ or "LMHead" in type(model).__name__
    positions = {"position_ids": logical_positions(padding)} if causal else {}
    return model(tokens, attention_mask=padding, **positions).logits


@torch.no_grad()
@pytest.mark.parametrize(("kind", "name"), [*(("llama", each) for each in CAUSAL), ("gpt2", "mixed"), ("bert", "both")])
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_logits_equal_those_under_dense_masks_of_the_same_selections(tokens, kind, name, side):
    model, handle = attached(kind, name, torch.float64)
    padding, plain = padded(tokens, side), build(kind, torch.float64)
    with handle.watch() as seen:
        mine = logits_of(model, tokens, padding)
    dense = logits_of(plain, tokens, padding)
    with under_the_long_way(plain, name, seen, padding):
        theirs = logits_of(plain, tokens, padding)
    close(mine[padding.bool()], theirs[padding.bool()])
    assert not torch.allclose(theirs[padding.bool()], dense[padding.bool()], atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("name", ["whole", "gate"])
def test_all_chosen_or_a_gate_on_everything_is_the_dense_model(tokens, kind, name):
    padding = padded(tokens, LEFT)
    theirs = logits_of(make(kind), tokens, padding)
    model, _handle = attached(kind, name)
    close(logits_of(model, tokens, padding)[padding.bool()], theirs[padding.bool()])


@torch.no_grad()
def test_a_capped_score_is_capped(tokens):
    """Gemma 2 asks for a soft cap of its scores."""
    import transformers

    config = transformers.Gemma2Config(
        vocab_size=97, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=6, head_dim=8,
        num_key_value_heads=2, layer_types=["full_attention"] * 2, attn_logit_softcapping=0.5,
    )  # fmt: skip
    model = transformers.Gemma2ForCausalLM._from_config(config, attn_implementation="eager").eval()
    for parameter in model.parameters():
        parameter.mul_(4)
    theirs = model(tokens).logits
    with pc.attach(model, pattern("whole")):
        close(model(tokens).logits, theirs)


@torch.no_grad()
def test_sinks_take_their_share(tokens):
    """gpt-oss has a logit per head that joins each softmax."""
    import transformers

    config = transformers.GptOssConfig(
        vocab_size=97, hidden_size=48, intermediate_size=64, num_hidden_layers=1, num_attention_heads=6, head_dim=8,
        num_key_value_heads=2, layer_types=["full_attention"], num_local_experts=2, num_experts_per_tok=1,
    )  # fmt: skip
    model = transformers.GptOssForCausalLM._from_config(config, attn_implementation="eager").eval()
    model.model.layers[0].self_attn.sinks.copy_(torch.arange(6.0))
    theirs = model(tokens).logits
    with pc.attach(model, pattern("whole")):
        close(model(tokens).logits, theirs)


@torch.no_grad()
def test_selectors_read_q_and_k_before_rotary_embedding(tokens):
    model, handle = attached("llama", "blocks")
    with handle.watch() as seen:
        model(tokens)
    module = model.model.layers[1].self_attn
    found = seen[1].inputs
    q, k = module.q_proj(found.query.hidden), module.k_proj(found.query.hidden)
    close(found.query.heads, q.view(2, 14, 6, 8).transpose(1, 2))
    close(found.key.heads, k.view(2, 14, 2, 8).transpose(1, 2))
    assert not torch.allclose(found.key.heads, seen[1].k, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_turn_is_undone_beside_numbers_of_any_size(tokens, dtype):
    """Some models have keys a hundred times larger in single dimensions, which hide the others in coarse roundings."""
    model = make("qwen2").to(dtype)
    for layer in model.model.layers:
        layer.self_attn.k_proj.bias[7] = 300.0
    with pc.attach(model, pattern("blocks")) as handle, handle.watch() as seen:
        model(tokens)
    for layer, found in zip(model.model.layers, seen.values(), strict=True):
        k = layer.self_attn.k_proj(found.inputs.key.hidden).view(2, 14, 2, 8).transpose(1, 2)[..., :7]
        wrong = (found.inputs.key.heads[..., :7] - k).abs().max()
        assert wrong <= 4 * torch.finfo(dtype).eps * 20 < 0.2 * (found.k[..., :7] - k).abs().max()


@torch.no_grad()
def test_layers_that_turn_nothing_are_told_apart(tokens):
    """SmolLM3 leaves the rotary embedding out in some layers, and hands it to all of them."""
    import transformers

    config = transformers.SmolLM3Config(
        vocab_size=97, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, no_rope_layers=[1, 0], pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = transformers.SmolLM3ForCausalLM._from_config(config, attn_implementation="sdpa").eval()
    with pc.attach(model, pattern("blocks")) as handle, handle.watch() as seen:
        model(tokens)
    for index, turned in enumerate([True, False]):
        module = model.model.layers[index].self_attn
        k = module.k_proj(seen[index].inputs.key.hidden).view(2, 14, 2, 8).transpose(1, 2)
        close(seen[index].inputs.key.heads, k)
        assert torch.allclose(seen[index].k, k, atol=1e-6) is not turned


@torch.no_grad()
def test_a_plan_mixes_learned_and_other_layers(tokens):
    layers = plan("layers 0 : blocks\n layers 1 : dense\n layers 2 : window")
    model = make("llama")
    handle = pc.attach(model, layers)
    assert list(handle.learned) == [0] and isinstance(handle.learned[0], LearnedAttention)
    assert [line.split(": ")[1].split(" ")[0] for line in handle.describe()] == ["blocks", "dense", "window"]
    padding = padded(tokens, LEFT)
    with handle.watch() as seen:
        mine = logits_of(model, tokens, padding)
    alone = pc.attach(other := make("llama"), pattern("blocks"))
    alone.learned[0].load_state_dict(handle.learned[0].state_dict())
    with alone.watch() as theirs:
        logits_of(other, tokens, padding)
    assert list(seen) == [0]
    assert torch.equal(seen[0].selections["b"].blocks, theirs[0].selections["b"].blocks)
    assert mine.isfinite().all()


@torch.no_grad()
def test_summaries_are_coarser_in_higher_layers(tokens):
    text = """
    pattern scales(s: int) causal { step local(3) | pooled(s) }
    pattern twos causal { step local(3) | pooled(2) }
    pattern fours causal { step local(3) | pooled(4) }
    plan by_size { layers 0 : scales(s = 2)  layers 1..2 : scales(s = 4) }
    plan by_name { layers 0 : twos  layers 1..2 : fours }
    plan alike { layers 0..2 : twos }
    """
    plans = pc.loads(text).plans
    found = {}
    for name in ("by_size", "by_name", "alike"):
        model = make("llama")
        pc.attach(model, plans[name])
        found[name] = model(tokens).logits
    assert torch.equal(found["by_size"], found["by_name"])
    assert (found["by_size"] - found["alike"]).abs().max() > 1e-4


def test_parameters_are_the_models_own_and_all_learn(tokens):
    model, handle = attached("llama", "mixed")
    own = {id(parameter) for parameter in model.parameters()}
    mine = list(handle.parameters())
    assert mine and {id(parameter) for parameter in mine} < own
    model(tokens, labels=tokens).loss.backward()
    for parameter in mine:
        assert parameter.dtype == torch.float32
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
    assert any(".self_attn.patternc." in name for name in model.state_dict())


def test_gradients_equal_those_of_the_reference_engine(tokens):
    padding = padded(tokens, RIGHT)
    labels = tokens.masked_fill(padding == 0, -100)
    found = []
    for engine in ("reference", "compose"):
        model, _ = attached("llama", "mixed", engine=engine)
        model(tokens, attention_mask=padding, labels=labels).loss.backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for mine, theirs in zip(*found, strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_under_checkpointing(tokens, reentrant):
    padding = padded(tokens, LEFT)
    model, handle = attached("llama", "mixed")
    model.train()
    given = {"labels": tokens.masked_fill(padding == 0, -100), "attention_mask": padding, "use_cache": False}
    model(tokens, **given).loss.backward()
    theirs = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    with handle.watch() as seen:
        loss = model(tokens, **given).loss
    kept = dict(seen)
    loss.backward()
    assert len(kept) == 3 and all(seen[index] is kept[index] for index in kept)
    for name, parameter in model.named_parameters():
        close(parameter.grad, theirs[name])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_detach_restores(tokens, kind):
    model = make_encoder() if kind == "bert" else make(kind)
    state = copy.deepcopy(model.state_dict())
    names = {name: sorted(vars(module)) for name, module in model.named_modules()}
    before = model(tokens).logits
    handle = pc.attach(model, pattern("both" if kind == "bert" else "mixed"))
    assert set(model.state_dict()) > set(state)
    handle.detach()
    assert torch.equal(model(tokens).logits, before)
    assert {name: sorted(vars(module)) for name, module in model.named_modules()} == names
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert list(model.state_dict()) == list(state)
    assert handle.learned == {} and not list(handle.parameters())


@torch.no_grad()
def test_a_model_and_its_handle_are_copied_together(tokens):
    model, handle = attached("llama", "blocks")
    twin, other = copy.deepcopy((model, handle))
    assert torch.equal(twin(tokens).logits, model(tokens).logits)
    stir(other, seed=5)
    assert not torch.allclose(twin(tokens).logits, model(tokens).logits, atol=1e-3)
    with other.watch() as seen, handle.watch() as mine:
        twin(tokens)
    assert len(seen) == 3 and not mine
    other.detach()
    assert torch.equal(twin(tokens).logits, make("llama")(tokens).logits)


@torch.no_grad()
def test_frozen_controls_differ_from_layer_to_layer(tokens):
    model, handle = attached("llama", "blocks", random=7)
    assert not [parameter for parameter in handle.parameters() if parameter.requires_grad]
    with handle.watch() as seen:
        model(torch.cat([tokens] * 2, 1))
    chosen = [each.selections["b"].blocks for each in seen.values()]
    assert not torch.equal(chosen[0], chosen[1]) and not torch.equal(chosen[1], chosen[2])
    again, _ = attached("llama", "blocks", random=7)
    assert torch.equal(again(tokens).logits, model(tokens).logits)


@torch.no_grad()
def test_the_bfloat16_model_keeps_its_selectors_in_float32(tokens):
    exact, _ = attached("llama", "whole")
    model = make("llama").to(torch.bfloat16)
    dense = model(tokens).logits
    handle = pc.attach(model, pattern("whole"))
    assert {parameter.dtype for parameter in handle.parameters()} == {torch.float32}
    mine, theirs = model(tokens).logits, exact(tokens).logits
    assert mine.dtype == torch.bfloat16
    assert (mine - theirs).abs().max() <= 2 * (dense - theirs).abs().max()


def test_training_under_autocast(tokens):
    model, handle = attached("llama", "mixed")
    model(tokens, labels=tokens).loss.backward()
    exact = [parameter.grad.clone() for parameter in handle.parameters()]
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        with handle.watch() as seen:
            loss = model(tokens, labels=tokens).loss
        loss.backward()
    assert seen[2].q.dtype == torch.bfloat16
    assert seen[2].selections["b"].log_gate.dtype == torch.float32
    for mine, theirs in zip(handle.parameters(), exact, strict=True):
        assert mine.grad.dtype == torch.float32
        assert (mine.grad - theirs).abs().max() <= 0.2 * theirs.abs().max() + 1e-3


@pytest.mark.slow
@torch.no_grad()
def test_torch_compile_breaks_the_graph_at_what_is_learned(tokens):
    torch.compiler.reset()
    model = make("llama", num_hidden_layers=1)
    handle = pc.attach(model, pattern("blocks"))
    padding = padded(tokens, LEFT)
    eager = model(tokens, attention_mask=padding, use_cache=False).logits
    compiled = torch.compile(model, backend="aot_eager")
    mine = compiled(input_ids=tokens, attention_mask=padding, use_cache=False).logits
    close(mine[padding.bool()], eager[padding.bool()])
    with handle.dense():
        dense = compiled(input_ids=tokens, attention_mask=padding, use_cache=False).logits
    handle.detach()
    close(dense[padding.bool()], model(tokens, attention_mask=padding).logits[padding.bool()])


@torch.no_grad()
def test_a_bidirectional_pattern_in_an_encoder_reads_what_is_explicit(tokens):
    """Where nothing is chosen, what is left is the window alone."""
    model, handle = attached("bert", "both")
    for learned in handle.learned.values():
        for parameter in learned.parameters():
            parameter.zero_()
    window = pc.loads("pattern w bidirectional { step local(3) }")["w"].bind().mask(14)
    theirs = make_encoder()(tokens, attention_mask=explicit(window).expand(2, -1, -1, -1)).logits
    close(model(tokens).logits, theirs)
