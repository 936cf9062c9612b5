"""Patterns with seeded tables inside tiny random models, against the same models under explicit masks."""

from __future__ import annotations

import pytest
import torch
from runtime_models import LEFT, RIGHT, close, explicit, logical_positions, make, padded

import patternc as pc
from patternc.runtime.errors import UnsupportedCallError

PATTERN = pc.load("library:bigbird")["bigbird_causal"].bind(b=4, g=1)


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 25))


@torch.no_grad()
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_a_padded_batch(tokens, side):
    model, padding = make("llama"), padded(tokens, side)
    positions, masks = logical_positions(padding), (PATTERN.mask(20), PATTERN.mask(25))
    mask = torch.cat([explicit(m, p[None]) for m, p in zip(masks, padding, strict=True)])
    theirs = model(tokens, attention_mask=mask, position_ids=positions).logits
    with pc.attach(model, PATTERN, engine="compose"):
        mine = model(tokens, attention_mask=padding, position_ids=positions).logits
    close(mine[padding.bool()], theirs[padding.bool()])


def test_gradients(tokens):
    model = make("llama").train()
    model(tokens, labels=tokens, attention_mask=explicit(PATTERN.mask(25)).expand(2, -1, -1, -1)).loss.backward()
    theirs = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    with pc.attach(model, PATTERN, engine="compose"):
        model(tokens, labels=tokens).loss.backward()
    for name, parameter in model.named_parameters():
        close(parameter.grad, theirs[name])


@torch.no_grad()
def test_a_token_draws_in_the_cache_what_it_would_in_the_whole_text(tokens):
    model, padding = make("llama"), padded(tokens, LEFT)
    with pc.attach(model, PATTERN, engine="compose"):
        first = model(tokens[:, :21], attention_mask=padding[:, :21], use_cache=True)
        cache, found = first.past_key_values, [first.logits]
        for end in range(22, 26):
            step = model(tokens[:, end - 1 : end], attention_mask=padding[:, :end], past_key_values=cache)
            found.append(step.logits)
        whole = model(tokens, attention_mask=padding, position_ids=logical_positions(padding)).logits
    close(torch.cat(found, 1)[padding.bool()], whole[padding.bool()])


def test_decoding_needs_a_table_that_does_not_change():
    table = pc.loads("pattern p bidirectional { step self | random(2, 4) }")["p"]
    assert table.depends_on_length and table.farthest is None
    assert not PATTERN.depends_on_length
    assert pc.loads("pattern p causal { step self | random(2, 4) & local(9) }")["p"].farthest == 8


@torch.no_grad()
def test_several_sequences_in_a_row_are_refused(tokens):
    positions = torch.cat([torch.arange(10), torch.arange(15)]).expand(2, -1)
    model = make("llama")
    with (
        pc.attach(model, PATTERN, engine="compose"),
        pytest.raises(UnsupportedCallError, match="'bigbird_causal', which has a seeded table, would draw anew"),
    ):
        model(tokens, position_ids=positions, use_cache=False)


@torch.no_grad()
def test_heads_of_a_plan(tokens):
    text = """from "library:bigbird" import bigbird_causal
    pattern near causal { step local(5) }
    plan p { layers all heads 0..2 : bigbird_causal(b = 4, g = 1)
        layers all heads 3..5 : near }"""
    model, plan = make("llama"), pc.loads(text).plans["p"]
    with pc.attach(model, plan, engine="reference"):
        theirs = model(tokens).logits
    with pc.attach(model, plan, engine="compose") as handle:
        close(model(tokens).logits, theirs)
        assert "bigbird_causal" in handle.describe(64)[0]
