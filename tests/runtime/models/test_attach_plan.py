"""Plans: which layers and heads run what, and what stays the model's own."""

from __future__ import annotations

import pytest
import torch
from runtime_models import LEFT, close, explicit, logical_positions, make, padded

import patternc as pc
from patternc.runtime.errors import AttachError, PlanError
from patternc.runtime.models.attaching.plan import Shape, share_plan


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 19))


def attach(model, plan):
    return pc.attach(model, plan, engine="reference")


def run_with_masks(model, tokens, masks, **kwargs):
    """The model's own sdpa with masks [B, H or 1, N, N], one for each layer (None: causal)."""
    causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()[None, None]
    hooks = []
    for module, mask in zip([m for m in model.modules() if hasattr(m, "is_causal")], masks, strict=True):
        mask = (causal if mask is None else mask).expand(len(tokens), -1, -1, -1)
        hooks.append(
            module.register_forward_pre_hook(
                lambda _, args, kw, mask=mask: (args, kw | {"attention_mask": mask}), with_kwargs=True
            )
        )
    try:
        return model(tokens, use_cache=False, **kwargs).logits
    finally:
        for hook in hooks:
            hook.remove()


def per_head(*masks):
    return torch.stack(masks)[None]


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_layers_left_out_stay_the_models_own(patterns, plans, tokens, implementation):
    model = make("llama", implementation=implementation)
    theirs = run_with_masks(make("llama"), tokens, [None, explicit(patterns("window").mask(19)), None])
    with attach(model, plans("layers 1 : window")) as handle:
        close(model(tokens).logits, theirs)
        assert handle.describe()[0] == f"0 model.layers.0.self_attn: dense ({implementation})"


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_padding_reaches_both_kinds_of_layer(patterns, plans, tokens, implementation):
    model, padding = make("llama", implementation=implementation), padded(tokens, LEFT)
    positions = logical_positions(padding)
    window, dense = (
        torch.cat([explicit(patterns(name).mask(int(row.sum())), row[None]) for row in padding])
        for name in ("window", "dense")
    )
    theirs = run_with_masks(make("llama"), tokens, [dense, window, window], position_ids=positions)
    with attach(model, plans("layers 1..2 : window")):
        mine = model(tokens, attention_mask=padding, position_ids=positions).logits
    close(mine[padding.bool()], theirs[padding.bool()])


@torch.no_grad()
def test_generate_under_a_mixed_plan(plans, tokens):
    model = make("llama")
    settings = {"attention_mask": padded(tokens, LEFT), "max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    theirs = model.generate(tokens, **settings)
    with attach(model, plans("layers 0, 2 : dense")):
        assert torch.equal(model.generate(tokens, **settings), theirs)
        assert torch.equal(model.generate(tokens, **settings, prefill_chunk_size=4), theirs)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_heads_each_run_their_pattern(patterns, plans, tokens, kind):
    n, model = 19, make(kind)
    window, dense = patterns("window").mask(n), patterns("dense").mask(n)
    near, far = (step.mask(n) for step in patterns("factorized").steps)
    masks = [
        per_head(window, dense, dense, window, dense, dense),
        per_head(near, far, near, far, near, far),
        per_head(window, window, window, window, dense, near | far),
    ]
    theirs = run_with_masks(model, tokens, masks)
    plan = plans("""
        layers 0 heads 0, 3 : window
        layers 1 : factorized heads
        layers 2 heads 0..3 : window
        layers 2 heads 5 : factorized
    """)
    with attach(model, plan):
        close(model(tokens).logits, theirs)


@torch.no_grad()
def test_interleaved_counts_among_the_layers_of_the_assignment(patterns, plans, tokens):
    model = make("llama")
    near, far = (explicit(step.mask(19)) for step in patterns("factorized").steps)
    theirs = run_with_masks(model, tokens, [None, near, far])
    with attach(model, plans("layers 1..2 : factorized interleaved")):
        close(model(tokens).logits, theirs)


@torch.no_grad()
def test_merged_is_the_union(patterns, plans, tokens):
    model = make("llama")
    theirs = run_with_masks(model, tokens, [explicit(patterns("factorized").mask(19))] * 3)
    with attach(model, plans("layers all : factorized merged")):
        close(model(tokens).logits, theirs)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("layers 3 : window", r"assignment 1 \(window\): layer 3 is out of range; the model has layers 0..2"),
        ("layers 1..7 : window", "layer 7 is out of range"),
        ("layers 0 heads 6 : window", "head 6 is out of range; layer 0 has heads 0..5"),
        ("layers 1 : factorized interleaved", "2 steps over 1 layers would leave a step out; .* 'merged'"),
        ("layers 1 heads 4 : factorized heads", "2 steps over 1 heads would leave a step out"),
    ],
)
def test_a_plan_that_does_not_fit(plans, body, message):
    model = make("llama")
    with pytest.raises(PlanError, match=message):
        attach(model, plans(body))
    assert model.config._attn_implementation == "sdpa"
    attach(model, plans("layers all : window"))


def test_a_bidirectional_assignment_names_its_layer(plans):
    with pytest.raises(AttachError, match="'both' is bidirectional, but layer 1 is causal"):
        attach(make("llama"), plans("layers 1 : both"))


def test_heads_are_dealt_among_those_of_the_assignment(plans):
    plan = plans("layers 0 heads 1..4 : factorized heads")
    (shares,) = share_plan(plan, [Shape(6, causal=True)])
    assert [(share.heads, share.step) for share in shares] == [((1, 3), 0), ((2, 4), 1)]
