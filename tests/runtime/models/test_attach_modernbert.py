"""ModernBERT: an encoder whose layers are global and windowed in turn, each kind with a rotary embedding of its own."""

from __future__ import annotations

import pytest
import torch
import transformers
from learned_models import stir, under_the_long_way
from runtime_models import close

import patternc as pc
from patternc.runtime.errors import UnsupportedCallError

SOURCE = """
pattern dense bidirectional { step everything }
pattern window bidirectional { step local(5) }
pattern wide bidirectional { step local(6) }
pattern ahead bidirectional { step self | band(-5, 9) }
pattern whole bidirectional { learn b = topk_blocks(k = 100, block = 4) step select(b) }
pattern keys bidirectional { learn x = topk_keys(k = 100, tile = 4) step select(x) }
pattern few bidirectional { learn b = topk_blocks(k = 2, block = 4) step select(b) }
pattern both bidirectional { learn a = importance(budget = 30%, gate = sigmoid) step local(3) | axis(a) }
"""
MODULE = pc.loads(SOURCE)
FULL = ["full_attention"] * 4


def make(dtype=torch.float32, own="sdpa", **changes):
    """Queries of the windowed layers see four keys to each side."""
    config = transformers.ModernBertConfig(
        vocab_size=97, hidden_size=48, intermediate_size=64, num_hidden_layers=4, num_attention_heads=6,
        local_attention=8, global_attn_every_n_layers=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, cls_token_id=1, sep_token_id=2, **changes,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.ModernBertForMaskedLM._from_config(config, attn_implementation=own).eval().to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(4)
    return model


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 30))


@pytest.fixture(params=["none", "left", "right"])
def padding(request, tokens):
    mask = torch.ones_like(tokens)
    if request.param != "none":
        mask[0, {"left": slice(7), "right": slice(23, None)}[request.param]] = 0
    return mask


def plan(body):
    return pc.loads(f"{SOURCE}\nplan test {{ {body} }}").plans["test"]


@torch.no_grad()
@pytest.mark.parametrize(("engine", "own"), [("compose", "sdpa"), ("reference", "sdpa"), ("compose", "eager")])
@pytest.mark.parametrize(
    "body",
    [
        "layers 0, 2 : dense\n layers 1, 3 : window",
        "layers 0, 2 : whole\n layers 1, 3 : window",
        "layers 0, 2 : keys",
        "layers 1 : window",
        "layers 2 heads 0..3 : dense\n layers 3 heads 2..4 : window",
    ],
)
def test_patterns_that_say_what_it_does(tokens, padding, body, engine, own):
    theirs = make()(tokens, attention_mask=padding).logits
    model = make(own=own)
    with pc.attach(model, plan(body), engine=engine):
        mine = model(tokens, attention_mask=padding).logits
    close(mine[padding.bool()], theirs[padding.bool()])


@torch.no_grad()
def test_windows_of_every_layer_by_masks_of_its_own(tokens):
    """A window within the model's own, in global layers too: against its eager attention under that mask."""
    window = MODULE["window"].bind().mask(30)
    explicit = torch.zeros(1, 1, 30, 30).masked_fill(~window, -torch.inf)
    both = {"full_attention": explicit, "sliding_attention": explicit}
    theirs = make(own="eager")(tokens, attention_mask=both).logits
    assert (make()(tokens).logits - theirs).abs().max() > 0.01
    model = make()
    pc.attach(model, MODULE["window"].bind())
    close(model(tokens).logits, theirs)


@torch.no_grad()
def test_what_is_learned_is_what_is_read(tokens, padding):
    """All of its layers global: against attention that asks the selections pair by pair."""
    model = make(torch.float64, layer_types=FULL)
    handle = pc.attach(model, MODULE["both"].bind())
    stir(handle)
    with handle.watch() as seen:
        mine = model(tokens, attention_mask=padding).logits
    assert sorted(seen) == [0, 1, 2, 3]
    plain = make(torch.float64, layer_types=FULL)
    with under_the_long_way(plain, "both", seen, padding):
        theirs = plain(tokens, attention_mask=padding).logits
    close(mine[padding.bool()], theirs[padding.bool()])


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_selectors_read_q_and_k_before_they_are_turned(tokens, dtype):
    """Its rotary function makes float32 of all that it is given, in whatever the model computes."""
    model = make(dtype)
    handle = pc.attach(model, plan("layers 0, 2 : few"))
    shapes = [handle.learned[index].shape for index in (0, 2)]
    theta = model.config.rope_parameters["full_attention"]["rope_theta"]
    for shape in shapes:
        assert shape.frequencies == pytest.approx([theta ** (-pair / 4) for pair in range(4)])
    entered = {}
    for index in (0, 2):
        attention = model.model.layers[index].attn
        attention.Wqkv.register_forward_hook(lambda module, args, out, index=index: entered.update({index: out}))
    with handle.watch() as seen:
        model(tokens)
    for index in (0, 2):
        q, k, _ = entered[index].view(2, 30, 3, 6, 8).permute(2, 0, 3, 1, 4)
        torch.testing.assert_close(seen[index].inputs.query.heads, q, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(seen[index].inputs.key.heads, k, atol=1e-5, rtol=1e-5)
        assert (seen[index].q - q).abs().max() > 0.1


def test_gradients_of_a_dense_pattern(tokens):
    ours, theirs = make(torch.float64), make(torch.float64)
    pc.attach(ours, plan("layers 0, 2 : whole\n layers 1, 3 : window"))
    for model in (ours, theirs):
        model(tokens, labels=tokens).loss.backward()
    named = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        close(named[name].grad, parameter.grad)


@pytest.mark.parametrize("name", ["wide", "ahead", "dense", "few"])
def test_what_reaches_beyond_its_window_is_refused(tokens, name):
    model = make()
    theirs = model(tokens).logits
    with pytest.raises(UnsupportedCallError, match=f"sliding_window=5 is not implemented for pattern '{name}'"):
        pc.attach(model, MODULE[name].bind())
    assert torch.equal(model(tokens).logits, theirs)  # as it was


@torch.no_grad()
def test_another_mask_than_its_window_is_refused(tokens):
    """A layer that runs a program beside others of its own gets the mask that it would have had, and reads it."""
    distance = (torch.arange(30)[:, None] - torch.arange(30)).abs()
    model = make()
    with pc.attach(model, plan("layers 1 : window")):
        for largest, fits in ((4, True), (30, True), (3, False), (5, False)):
            masks = {
                "full_attention": None,
                "sliding_attention": (distance <= largest)[None, None].expand(2, 1, -1, -1),
            }
            if fits:
                model(tokens, attention_mask=masks)
            else:
                with pytest.raises(UnsupportedCallError, match="the 4D attention mask is not just"):
                    model(tokens, attention_mask=masks)


@pytest.mark.parametrize("step", ["local(5)", "band(4, 0)", "band(0, 4)", "{ (i, j) : i - 4 <= j and j <= i + 2 }"])
def test_how_far_a_pattern_reaches(step):
    assert pc.loads(f"pattern p bidirectional {{ step {step} }}")["p"].bind().farthest == 4
    assert pc.loads("pattern p bidirectional { step self | band(-5, 9) }")["p"].bind().farthest == 9
    assert pc.loads("pattern p bidirectional { step { (i, j) : j > i } }")["p"].bind().farthest is None
