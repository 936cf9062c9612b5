"""Tiny models with learned patterns attached, and the same models under the long way of what was selected."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import torch
from learned_oracle import long_way
from runtime_models import make, transformers

import patternc as pc

SOURCE = """
pattern axis causal { learn a = importance(budget = 30%, gate = sigmoid) step local(3) | columns(a) }
pattern tokens causal { learn t = topk(k = 3) step local(2) | columns(t) }
pattern blocks causal { learn b = topk_blocks(k = 3, block = 2) step local(2) | select(b) }
pattern means causal { learn b = topk_blocks(k = 3, block = 2, scores = pooled) step local(2) | select(b) }
pattern keys causal { learn x = topk_keys(k = 3, tile = 4) step local(1) | select(x) }
pattern levels causal { learn g = granularity(block = 4) step refine(g) }
pattern mixed causal {
    learn b = topk_blocks(k = 3, block = 2)
    step gated local(3) | select(b) | pooled(4)
}
pattern both bidirectional { learn a = importance(budget = 30%, gate = sigmoid) step local(3) | axis(a) }
pattern whole causal { learn b = topk_blocks(k = 1000, block = 4) step select(b) }
pattern gate causal { step gated { (i, j) : j <= i } }
pattern window causal { step local(4) }
"""
MODULE = pc.loads(SOURCE)
CAUSAL = ("axis", "tokens", "blocks", "means", "keys", "levels", "mixed")

BERT = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6}


def pattern(name):
    return MODULE[name].bind()


def plan(body):
    return pc.loads(f"{SOURCE}\nplan test {{ {body} }}").plans["test"]


def make_encoder():
    torch.manual_seed(1)
    config = transformers.BertConfig(**BERT)
    built = transformers.BertForMaskedLM._from_config(config, attn_implementation="sdpa").eval()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if "Norm" not in name:
                parameter.mul_(4)
    return built


def build(kind, dtype=torch.float32):
    return (make_encoder() if kind == "bert" else make(kind)).to(dtype)


def attached(kind, name, dtype=torch.float32, **options):
    """(model, handle), its selectors far enough from their start that they decide something."""
    model = build(kind, dtype)
    handle = pc.attach(model, pattern(name), **options)
    stir(handle)
    return model, handle


@torch.no_grad()
def stir(handle, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for learned in handle.learned.values():
        for name, parameter in learned.named_parameters():
            if parameter.dim() < 2 or "columns" in name or "rows" in name or "distance" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def terms_of(name, selections, n):
    """As ``long_way`` takes them."""
    place = np.arange(n)
    back = place[:, None] - place

    def near(w, causal=True):
        return (back < w) & ((back >= 0) if causal else (back > -w))

    every = np.ones((n, n), dtype=bool)
    match name:
        case "axis":
            return [(near(3), None, None, None), (every, selections["a"], "columns", None)], []
        case "tokens":
            return [(near(2), None, None, None), (every, selections["t"], "columns", None)], []
        case "blocks" | "means":
            return [(near(2), None, None, None), (every, selections["b"], "select", None)], []
        case "keys":
            return [(near(1), None, None, None), (every, selections["x"], "select", None)], []
        case "levels":
            return [(every, selections["g"], "refine", None)], [(selections["g"], None)]
        case "mixed":
            gate = selections["gated local(3)"].log_gate
            terms = [(near(3), None, None, gate), (every, selections["b"], "select", None)]
            return terms, [(selections["pooled(4)"], None)]
        case "both":
            found = selections["a"]
            positional = (near(3, causal=False), None, None, None)
            return [positional, (every, found, "columns", None), (every, found, "rows", None)], []
    raise KeyError(name)


@contextmanager
def under_the_long_way(model, name, seen, padding):
    """The unattached model with attention from what was ``seen`` of each layer, in the order of its layers."""
    layers = iter(sorted(seen))

    def attention(module, query, key, value, mask, dropout=0.0, scaling=None, **kwargs):
        out = torch.zeros_like(query)
        selections = seen[next(layers)].selections
        n, causal = query.shape[2], name != "both"
        terms, summaries = terms_of(name, selections, n)
        fronts = [x.clone() for x in (query, key, value)]
        for x, before in zip(fronts, (query, key, value), strict=True):
            for element, row in enumerate(padding.bool()):
                x[element, :, : int(row.sum())] = before[element][:, row]
        lengths = [(int(row.sum()),) * 2 for row in padding]
        found, _ = long_way(*fronts, terms, summaries, lengths, causal=causal, scale=scaling)
        for element, row in enumerate(padding.bool()):
            out[element][:, row] = torch.from_numpy(found[element, :, : int(row.sum())]).to(out.dtype)
        return out.transpose(1, 2).contiguous(), None

    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register("long_way", attention)
    AttentionMaskInterface.register("long_way", lambda *args, **kwargs: None)
    before = model.config._attn_implementation
    model.config._attn_implementation = "long_way"
    try:
        yield
    finally:
        model.config._attn_implementation = before
    assert next(layers, None) is None
