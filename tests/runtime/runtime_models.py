"""Tiny random models for the tests of attach, and the masks to run them under."""

from __future__ import annotations

import pytest
import torch

transformers = pytest.importorskip("transformers")

COMMON = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
CONFIGS = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", COMMON),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", COMMON),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", COMMON | {"head_dim": 8}),
    "mistral": ("MistralConfig", "MistralForCausalLM", COMMON | {"sliding_window": None}),
    "gpt2": (
        "GPT2Config", "GPT2LMHeadModel",
        {"vocab_size": 97, "n_embd": 48, "n_layer": 3, "n_head": 6, "n_positions": 128, "bos_token_id": 1,
         "eos_token_id": 2, "pad_token_id": 0},
    ),
    "gpt_neox": (
        "GPTNeoXConfig", "GPTNeoXForCausalLM",
        {name: value for name, value in COMMON.items() if name != "num_key_value_heads"},
    ),
}  # fmt: skip
LEFT, RIGHT = "left", "right"


def make(kind, *, implementation="sdpa", **changes):
    config, model, arguments = CONFIGS[kind]
    settings = getattr(transformers, config)(**arguments | changes)
    torch.manual_seed(1)
    built = getattr(transformers, model)._from_config(settings, attn_implementation=implementation)
    # Random weights are small; scaled up, the attention matters enough that a wrong mask shows.
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if "norm" not in name and "ln_" not in name:
                parameter.mul_(4)
    return built.eval()


def explicit(mask, padding=None):
    """The 4D bool mask [B, 1, N, N] of a pattern for sdpa, in physical positions; idle rows see themselves."""
    n = mask.shape[0] if padding is None else padding.shape[1]
    if padding is None:
        return mask[None, None]
    whole = torch.eye(n, dtype=torch.bool).repeat(len(padding), 1, 1, 1)
    for element, row in enumerate(padding.bool()):
        places = row.nonzero().flatten()
        whole[element, 0, places[:, None], places[None, :]] = mask[: len(places), : len(places)]
    return whole


def logical_positions(padding):
    return (padding.cumsum(1) - 1).clamp(min=0)


def padded(tokens, side):
    padding = torch.ones_like(tokens)
    if side == LEFT:
        padding[0, :5] = 0
    else:
        padding[0, -5:] = 0
    return padding


def close(mine, theirs):
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
