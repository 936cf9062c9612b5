"""What cannot be attached, and calls that an attached model cannot serve: refused by name, never ignored."""

from __future__ import annotations

import copy

import pytest
import torch
from runtime_models import close, make
from torch import nn

import patternc as pc
from patternc.runtime.errors import ArgumentError, AttachError, UnsupportedCallError
from patternc.runtime.models.calls.dispatch import attention_forward

transformers = pytest.importorskip("transformers")


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 9))


@pytest.fixture
def attached(patterns):
    model = make("llama")
    pc.attach(model, patterns("window"), engine="reference")
    return model


def attach(model, pattern):
    return pc.attach(model, pattern, engine="reference")


def build(model, config, **arguments):
    return getattr(transformers, model)(getattr(transformers, config)(**arguments))


SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50}


@pytest.mark.parametrize(
    ("build_model", "message"),
    [
        (lambda: nn.Linear(2, 2), "Linear is not a transformers model"),
        (lambda: build("T5ForConditionalGeneration", "T5Config", d_model=16, d_ff=16, num_layers=1), "cross-attention"),
        (lambda: build("GPT2LMHeadModel", "GPT2Config", n_embd=16, n_layer=1, n_head=2, add_cross_attention=True),
         "cross-attention"),
        (lambda: build("ViTModel", "ViTConfig", hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                       num_attention_heads=2, image_size=8, patch_size=4), "reads pixel_values"),
        (lambda: build("BloomForCausalLM", "BloomConfig", hidden_size=16, n_layer=1, n_head=2), "AttentionInterface"),
        (lambda: build("MptForCausalLM", "MptConfig", d_model=16, n_layers=1, n_heads=2), "AttentionInterface"),
        (lambda: build("MambaForCausalLM", "MambaConfig", hidden_size=16, num_hidden_layers=1, state_size=4),
         "no attention module"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_attached(patterns, build_model, message):
    with pytest.raises(AttachError, match=message):
        attach(build_model(), patterns("window"))


def test_what_is_no_pattern():
    with pytest.raises(AttachError, match=r"a str cannot be attached: give a pattern, pc.load\("):
        attach(make("llama"), "library:fixed_factorized")


def test_attaching_twice(attached, patterns):
    with pytest.raises(AttachError, match=r"already has a pattern attached; call detach\(\)"):
        attach(attached, patterns("window"))


def test_a_bidirectional_pattern_on_a_causal_model(patterns):
    with pytest.raises(AttachError, match="'both' is bidirectional, but layer 0 is causal"):
        attach(make("llama"), patterns("both"))


@torch.no_grad()
def test_a_bidirectional_pattern_on_an_encoder(patterns, tokens):
    torch.manual_seed(1)
    model = build("BertModel", "BertConfig", **SMALL | {"vocab_size": 97}).eval()
    mask = patterns("both").mask(9)[None, None].expand(2, -1, -1, -1)
    theirs = model(tokens, attention_mask=mask).last_hidden_state
    with attach(model, patterns("both")):
        torch.testing.assert_close(model(tokens).last_hidden_state, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["mistral", "qwen2"])
def test_a_model_that_wants_its_own_window(patterns, kind):
    changes = {"sliding_window": 4} if kind == "mistral" else {
        "sliding_window": 4, "use_sliding_window": True, "max_window_layers": 1,
    }  # fmt: skip
    model = make(kind, **changes)
    with pytest.raises(
        UnsupportedCallError,
        match=r"sliding_window=4 is not implemented for pattern 'dense', .* config.sliding_window = None",
    ):
        attach(model, patterns("dense"))
    assert model.config._attn_implementation == "sdpa"


@torch.no_grad()
def test_windowed_layers_may_stay_the_models_own(plans, tokens):
    model = make("qwen2", sliding_window=4, use_sliding_window=True, max_window_layers=1)
    theirs = model(tokens).logits
    continued = model.generate(tokens, max_new_tokens=5, do_sample=False, pad_token_id=0)
    with attach(model, plans("layers 0 : dense")):
        torch.testing.assert_close(model(tokens).logits, theirs, rtol=1e-4, atol=1e-4)
        assert torch.equal(model.generate(tokens, max_new_tokens=5, do_sample=False, pad_token_id=0), continued)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("position_bias", torch.zeros(1, 6, 2, 2), "position_bias is not implemented; .* plan"),
        ("sliding_window", 3, "sliding_window=3 is not implemented for pattern 'window', which reaches beyond it"),
        ("output_attentions", True, "output_attentions=True is not implemented; drop output_attentions"),
        ("cu_seq_lens_q", torch.zeros(3), "cu_seq_lens_q and cu_seq_lens_k differ, but each document attends"),
    ],
)
def test_an_argument_that_no_engine_implements(attached, argument, value, message):
    module, q, k = attached.model.layers[0].self_attn, torch.zeros(1, 6, 2, 8), torch.zeros(1, 2, 2, 8)
    attention_forward(module, q, k, k, None, scaling=1.0, use_cache=True, **{argument: None})
    with pytest.raises(UnsupportedCallError, match=message):
        attention_forward(module, q, k, k, None, scaling=1.0, **{argument: value})


def test_dropout_in_training(patterns, tokens):
    model = make("gpt2").train()
    attach(model, patterns("window"))
    with pytest.raises(
        UnsupportedCallError, match=r"dropout=0.1 is not implemented; set the model's attention dropout"
    ):
        model(tokens)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_attention_weights(patterns, tokens, kind):
    """GPT-2 does not tell its attention modules that they are asked for."""
    model = make(kind)
    own = model(tokens, output_attentions=True).attentions
    handle = attach(model, patterns("window"))
    copied, other = copy.deepcopy((model, handle))
    for part in (model, model.base_model, copied, copied.base_model):
        with pytest.raises(UnsupportedCallError, match="output_attentions=True is not implemented; drop"):
            part(tokens, output_attentions=True)
    for each, mine in ((model, handle), (copied, other)):
        mine.detach()
        assert each(tokens, output_attentions=True).attentions == own == ()


def test_a_hole_in_the_padding(attached, tokens):
    padding = torch.ones_like(tokens)
    padding[0, 3] = 0
    with pytest.raises(UnsupportedCallError, match="attention_mask has a hole"):
        attached(tokens, attention_mask=padding)


def test_generating_after_right_padding(attached, tokens):
    padding = torch.ones_like(tokens)
    padding[0, -2:] = 0
    with pytest.raises(UnsupportedCallError, match=r"on the left: tokenizer.padding_side = 'left'"):
        attached.generate(tokens, attention_mask=padding, max_new_tokens=3, do_sample=False, pad_token_id=0)


def test_packed_sequences_with_a_cache(attached, tokens):
    """transformers itself lets tokens attend across documents then."""
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]]).expand(2, -1)
    with pytest.raises(UnsupportedCallError, match=r"packed sequences, .* use_cache=False"):
        attached(tokens, position_ids=positions, use_cache=True)


def test_chunks_of_attention_are_no_documents(attached, tokens):
    module, q, k = attached.model.layers[0].self_attn, torch.zeros(1, 6, 9, 8), torch.zeros(1, 2, 9, 8)
    edges = torch.tensor([0, 4, 9], dtype=torch.int32)
    with pytest.raises(UnsupportedCallError, match="attention in chunks"):
        attention_forward(module, q, k, k, edges, scaling=1.0, position_ids=torch.arange(9)[None])


def test_packed_sequences_with_a_cache_under_a_mixed_plan(plans, tokens):
    model = make("llama")
    attach(model, plans("layers 1 : window"))
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]]).expand(2, -1)
    with pytest.raises(UnsupportedCallError, match="packed sequences"):
        model(tokens, position_ids=positions, use_cache=True)


CAUSAL = torch.ones(2, 1, 9, 9, dtype=torch.bool).tril()


def additive(visible):
    return torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (additive(CAUSAL) - 0.1 * torch.arange(9.0), "adds numbers to scores"),
        (CAUSAL.long(), "adds numbers to scores"),
        (additive(CAUSAL) + torch.tensor([0.0] * 7 + [-1.0] * 2), "adds numbers to scores"),
        (CAUSAL & (torch.arange(9) // 2 != 2), "has a hole"),
        (torch.cat([CAUSAL, CAUSAL & (torch.arange(9) < 5)], 1).repeat(1, 3, 1, 1), "differs from head to head"),
    ],
    ids=["positions", "integers", "columns", "a hole", "heads"],
)
def test_a_mask_that_says_more_than_padding(attached, tokens, mask, message):
    with pytest.raises(UnsupportedCallError, match=message):
        attached(tokens, attention_mask=mask, use_cache=False)


@pytest.mark.parametrize("mask", [CAUSAL[:1], additive(CAUSAL[:1]), additive(CAUSAL).expand(-1, 6, -1, -1)])
def test_a_mask_of_causality_alone_says_nothing(attached, tokens, mask):
    """For all rows of a batch at once, too, and for all heads."""
    close(attached(tokens, attention_mask=mask, use_cache=False).logits, attached(tokens, use_cache=False).logits)


@pytest.mark.parametrize("body", ["layers all : window", "layers 1 : window"])
def test_a_mask_of_the_callers_own(plans, tokens, body):
    model = make("llama")
    attach(model, plans(body))
    mask = torch.ones(2, 1, 9, 9, dtype=torch.bool).tril().triu(-1)
    with pytest.raises(UnsupportedCallError, match="not just causality with padding or packed sequences"):
        model(tokens, attention_mask=mask)


@pytest.mark.parametrize("body", ["layers all : window", "layers 1 : window"])
def test_a_static_cache(plans, tokens, body):
    model = make("llama")
    attach(model, plans(body))
    with pytest.raises(UnsupportedCallError, match="StaticCache"):
        model.generate(tokens, max_new_tokens=3, do_sample=False, pad_token_id=0, cache_implementation="static")


def test_a_cache_that_drops_keys_and_one_that_does_not(patterns, tokens):
    # The cache that generate makes by itself is a DynamicCache too, with layers of the model's own window.
    model, options = make("mistral", sliding_window=12), {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    attach(model, pc.loads("pattern near causal { step local(4) }")["near"].bind())
    with pytest.raises(UnsupportedCallError, match=r"pass past_key_values=DynamicCache\(\), made without a config"):
        model.generate(tokens, **options)
    whole = transformers.DynamicCache()
    found = model.generate(tokens, past_key_values=whole, **options)
    assert torch.equal(found, model.generate(tokens, use_cache=False, **options))


def test_decoding_with_a_pattern_of_the_length(patterns, tokens):
    model = make("llama")
    with attach(model, patterns("tail")):
        model.generate(tokens, max_new_tokens=2, do_sample=False, pad_token_id=0, use_cache=False)
        with pytest.raises(UnsupportedCallError, match=r"'tail' mentions the length n.* use_cache=False"):
            model.generate(tokens, max_new_tokens=2, do_sample=False, pad_token_id=0)


def test_the_name_without_a_binding(patterns, tokens):
    attach(make("llama"), patterns("window")).detach()
    model = make("llama", implementation="patternc")
    with pytest.raises(AttachError, match=r"use patternc\.attach"):
        model(tokens)


WHOLE = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 97}


@pytest.mark.parametrize("plan", ["layers all : p", "layers 0, 3 : p"])
def test_layers_with_chunks_of_their_own(plan):
    """Llama 4 hands no positions on: its chunks look like packed documents, which begin anew."""
    experts = {"intermediate_size_mlp": 32, "num_local_experts": 2, "attention_chunk_size": 8, "head_dim": 8}
    model = build("Llama4ForCausalLM", "Llama4TextConfig", **WHOLE, **experts, num_key_value_heads=2).eval()
    text = f"pattern p causal {{ step columns(first(1)) | local(2) }} plan q {{ {plan} }}"
    pc.attach(model, pc.loads(text).plans["q"])
    assert model(torch.randint(3, 97, (1, 8)), use_cache=False).logits.shape == (1, 8, 97)
    for rows in (1, 2):
        with pytest.raises(UnsupportedCallError, match=r"chunks of 8 .* or packed documents"):
            model(torch.randint(3, 97, (rows, 20)), use_cache=False)


def test_values_of_another_width(patterns):
    latent = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
    model = build("DeepseekV3ForCausalLM", "DeepseekV3Config", **WHOLE, **latent, first_k_dense_replace=4).eval()
    tokens = torch.randint(3, 97, (1, 9))
    own = model(tokens).logits
    with pytest.raises(AttachError, match=r"layer 0 .* has keys of width 16 and values of width 8, .*with a plan"):
        attach(model, patterns("window"))
    assert torch.equal(model(tokens).logits, own)


def test_layers_that_add_summaries_to_their_keys(patterns):
    """DeepSeek V4: of few tokens it adds none, and failed inside when there were more."""
    few = {"q_lora_rank": 8, "o_lora_rank": 8, "head_dim": 16, "moe_intermediate_size": 8, "n_routed_experts": 4}
    kinds = ["sliding_attention", "heavily_compressed_attention"]
    sizes = {**SMALL, "num_hidden_layers": 2, "num_experts_per_tok": 2, "layer_types": kinds, "o_groups": 2}
    model = build("DeepseekV4ForCausalLM", "DeepseekV4Config", **sizes, **few).eval()
    tokens = torch.randint(3, 50, (1, 300))
    own = model(tokens, use_cache=False).logits
    with pytest.raises(AttachError, match=r"layer 1 .* adds summaries of its own to its keys"):
        attach(model, patterns("window"))
    assert torch.equal(model(tokens, use_cache=False).logits, own)


def test_a_model_that_makes_its_own_masks_and_is_of_no_direction(patterns):
    model = build("LayoutLMModel", "LayoutLMConfig", **SMALL).eval()
    encoder = pc.loads("pattern p bidirectional { step local(3) }")["p"]
    for pattern in (encoder, patterns("window")):
        with pytest.raises(
            AttachError, match=r"LayoutLMModel makes attention masks by itself, .* whether it is causal"
        ):
            attach(model, pattern)


def test_a_model_that_does_not_run_without_a_mask(patterns):
    model = build("XmodModel", "XmodConfig", **WHOLE).eval()  # without a language
    with pytest.raises(
        AttachError, match=r"XmodModel does not run over two tokens .*ValueError: Input language unknown"
    ):
        attach(model, patterns("window"))


@pytest.mark.parametrize("seed", ["x", 1.5, True])
def test_a_seed_that_is_none(seed):
    pattern = pc.loads("pattern p causal { learn t = topk(k = 2) step self | columns(t) }")["p"]
    model = make("llama")
    with pytest.raises(ArgumentError, match="pass an integer, the seed of frozen controls"):
        pc.attach(model, pattern, random=seed)
    with pytest.raises(ArgumentError, match="pass an integer, the seed of frozen controls"):
        pc.compile(pattern, heads=2, head_dim=8, random=seed)


def test_a_mask_of_three_dimensions():
    model = make("llama")
    attach(model, pc.loads("pattern p causal { step self }")["p"])
    with pytest.raises(UnsupportedCallError, match="an attention mask of 3 dimensions"):
        model(torch.randint(3, 97, (2, 9)), attention_mask=torch.ones(2, 9, 9, dtype=torch.long).tril())


def test_an_older_transformers_is_named(monkeypatch, patterns):
    monkeypatch.setattr("transformers.masking_utils.sdpa_mask", lambda batch_size, cache_position, kv_length: None)
    with pytest.raises(AttachError, match=r"patterns attach from 5\.6 on"):
        pc.attach(make("llama"), patterns("window"))
