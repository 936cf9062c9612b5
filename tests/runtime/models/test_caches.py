"""Caches that drop keys: the same logits as with all of them, and exactly what can still be read is kept."""

from __future__ import annotations

import copy

import pytest
import torch
from learned_models import attached
from runtime_models import COMMON, CONFIGS, LEFT, close, explicit, logical_positions, make, padded, transformers

import patternc as pc
from patternc.runtime.errors import AttachError, UnsupportedCallError
from patternc.runtime.models.caches.evicting import EvictingLayer

SOURCE = """
pattern near(w: int = 5) causal { step local(w) }
pattern ends causal { step columns(first(2)) | local(7) }
pattern fixed causal { step block(8) step { (i, j) : j <= i and j mod 8 = 7 } | self }
pattern residues causal { step local(3) step strided(6) }
"""
CUT = ("near", "ends", "fixed")


def pattern(name):
    return pc.loads(SOURCE)[name].bind()


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 120))


@pytest.fixture
def model():
    return make("llama")


def stepped(model, cache, tokens, sizes, padding=None):
    """Logits of all tokens, so many at once."""
    found, at = [], 0
    for size in sizes:
        where = {} if padding is None else {
            "attention_mask": padding[:, : at + size],
            "position_ids": logical_positions(padding)[:, at : at + size],
        }  # fmt: skip
        found.append(model(tokens[:, at : at + size], past_key_values=cache, **where).logits)
        at += size
    return torch.cat(found, 1)


def evicting(cache):
    return [layer for layer in cache.layers if isinstance(layer, EvictingLayer)]


def held(layer):
    return set(layer.held[2].tensor[:, 0].tolist())


@torch.no_grad()
@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("name", CUT)
def test_token_by_token_logits_are_those_of_the_whole_text(kind, name, tokens):
    model = make(kind)
    whole = model(tokens, attention_mask=explicit(pattern(name).mask(120)).expand(2, -1, -1, -1)).logits
    cache = pc.attach(model, pattern(name)).cache()
    close(stepped(model, cache, tokens, [30, *[1] * 90]), whole)
    assert all(layer.held[2].count < 100 for layer in evicting(cache)) and len(evicting(cache)) == 3


@torch.no_grad()
def test_a_model_whose_attention_names_its_cache_otherwise(tokens):
    config = transformers.GPTNeoXConfig(**{name: value for name, value in COMMON.items() if "key_value" not in name})
    model = transformers.GPTNeoXForCausalLM._from_config(config, attn_implementation="sdpa").eval()
    with pc.attach(model, pattern("near")) as handle:
        cache = handle.cache()
        close(stepped(model, cache, tokens, [100, *[1] * 20]), model(tokens).logits)
    assert all(layer.held[2].count < 30 for layer in evicting(cache)) and len(evicting(cache)) == 3


@torch.no_grad()
@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("sizes", [[1] * 120, [64, 3, 40, 1, 12], [119, 1]], ids=len)
def test_what_is_laid_in_the_place_of_dropped_keys_does_not_matter(model, name, sizes, tokens):
    padding = padded(tokens, LEFT)
    whole = model(
        tokens,
        attention_mask=explicit(pattern(name).mask(120), padding),
        position_ids=logical_positions(padding),
    ).logits
    cache = pc.attach(model, pattern(name)).cache()
    real, at = padding.bool(), 0
    for size in sizes:
        for room in evicting(cache)[0].rooms:
            if room.tensor is not None:
                room.tensor.fill_(torch.nan)
        logits = model(
            tokens[:, at : at + size],
            attention_mask=padding[:, : at + size],
            position_ids=logical_positions(padding)[:, at : at + size],
            past_key_values=cache,
        ).logits
        shown = real[:, at : at + size]
        close(logits[shown], whole[:, at : at + size][shown])
        at += size
    assert all(layer.held[2].count < 120 for layer in evicting(cache))


@torch.no_grad()
@pytest.mark.parametrize("name", CUT)
def test_exactly_what_some_sequence_can_still_read_is_kept(model, name, tokens):
    mask, padding = pattern(name).mask(300), padded(tokens, LEFT)
    cache = pc.attach(model, pattern(name)).cache()
    model(tokens, attention_mask=padding, position_ids=logical_positions(padding), past_key_values=cache)
    read = mask[120:, :120].any(0).nonzero().flatten()
    behind = mask[115:, :115].any(0).nonzero().flatten() + 5  # the first sequence begins at 5
    for layer in evicting(cache):
        assert held(layer) == {*read.tolist(), *behind.tolist()}
        assert (layer.get_seq_length(), layer.keys.shape[2]) == (120, len(held(layer)))


@torch.no_grad()
def test_padding_may_be_longer_than_what_is_read_first(model, tokens):
    padding = torch.ones_like(tokens)
    padding[0, :90] = 0
    with pc.attach(model, pattern("near")) as handle:
        own, cache = transformers.DynamicCache(), handle.cache()
        theirs, mine = (stepped(model, each, tokens, [80, 30, *[1] * 10], padding) for each in (own, cache))
    assert torch.equal(mine[padding.bool()], theirs[padding.bool()])
    assert held(cache.layers[0]) <= set(range(100, 120))


@torch.no_grad()
def test_a_layer_never_holds_more_than_a_fourth_beside_what_it_must(model):
    tokens = torch.randint(3, 97, (1, 128))
    cache = pc.attach(model, pattern("fixed")).cache()
    for at in range(128):
        model(tokens[:, at : at + 1], past_key_values=cache)
        needed = int(pattern("fixed").mask(300)[at + 1 :, : at + 1].any(0).sum())
        assert needed <= cache.layers[0].held[2].count <= needed + max(64, needed // 4) + 1


@torch.no_grad()
@pytest.mark.parametrize("how", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}], ids=str)
def test_generate_finds_the_same_words(model, how, tokens):
    with pc.attach(model, pattern("ends")) as handle:
        words = []
        for cache in (transformers.DynamicCache(), handle.cache()):
            torch.manual_seed(3)
            made = model.generate(
                tokens[:, :40], attention_mask=padded(tokens[:, :40], LEFT), max_new_tokens=80, min_new_tokens=80,
                past_key_values=cache, **{"do_sample": False} | how,
            )  # fmt: skip
            words.append(made)
    assert torch.equal(*words)
    assert evicting(cache)[0].held[2].count < 100


@torch.no_grad()
def test_heads_and_layers_of_a_plan_keep_what_theirs_read(model, tokens):
    text = f"""{SOURCE}
    plan p {{
        layers 0 heads 0..2: near
        layers 0 heads 3..5: ends
        layers 1 heads 0..2: near
    }}"""
    plan = pc.loads(text).plans["p"]
    with pc.attach(model, plan) as handle:
        own, cache = transformers.DynamicCache(), handle.cache()
        close(*(stepped(model, each, tokens, [50, *[1] * 70]) for each in (own, cache)))
        assert [type(layer) for layer in cache.layers] == [EvictingLayer, *[transformers.cache_utils.DynamicLayer] * 2]
        fresh = handle.cache()
        model(tokens, past_key_values=fresh)
    assert held(fresh.layers[0]) == {0, 1, *range(114, 120)}


def test_gradients_pass_through_what_was_kept(model, tokens):
    found = []
    with pc.attach(model, pattern("ends")) as handle:
        for cache in (transformers.DynamicCache(), handle.cache()):
            model.zero_grad()
            stepped(model, cache, tokens, [80, 1, 30, 1]).square().sum().backward()
            found.append([parameter.grad.clone() for parameter in model.parameters()])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_copy_goes_on_by_itself(model, tokens):
    with pc.attach(model, pattern("ends")) as handle:
        cache = handle.cache()
        model(tokens[:, :100], past_key_values=cache)
        twin = copy.deepcopy(cache)
        first = stepped(model, cache, tokens[:, 100:], [1] * 20)
        assert twin.get_seq_length() == 100
        assert torch.equal(stepped(model, twin, tokens[:, 100:], [1] * 20), first)
        cache.reset()
        assert cache.get_seq_length() == 0
        close(stepped(model, cache, tokens, [100, *[1] * 20])[:, 100:], first)


@torch.no_grad()
def test_of_a_batch_some_are_chosen(model, tokens):
    padding = padded(tokens, LEFT)
    with pc.attach(model, pattern("near")) as handle:
        cache, own = handle.cache(), transformers.DynamicCache()
        for each in (cache, own):
            stepped(model, each, tokens[:, :100], [60, 40], padding[:, :100])
            each.batch_select_indices(torch.tensor([1, 0, 0]))
            each.batch_repeat_interleave(2)
        rows = torch.tensor([1, 1, 0, 0, 0, 0])
        where = {"attention_mask": padding[rows, :101], "position_ids": logical_positions(padding)[rows, 100:101]}
        mine, theirs = (model(tokens[rows, 100:101], past_key_values=each, **where).logits for each in (cache, own))
        close(mine, theirs)


@torch.no_grad()
def test_what_selects_or_reaches_everything_keeps_all(model, tokens):
    learned, handle = attached("llama", "blocks", torch.float32)
    short = tokens[:, :40]
    close(stepped(learned, handle.cache(), short, [20, *[1] * 20]), learned(short).logits)
    assert not evicting(handle.cache())
    with pc.attach(model, pattern("residues")) as handle:
        assert not evicting(handle.cache())
        close(stepped(model, handle.cache(), tokens, [60, *[1] * 60]), model(tokens).logits)


@torch.no_grad()
def test_a_handle_that_was_put_aside_serves_its_caches_again(model, tokens):
    with pc.attach(model, pattern("near")) as handle:
        cache = handle.cache()
        model(tokens[:, :100], past_key_values=cache)
        with handle.removed(), pytest.raises(UnsupportedCallError, match="detached"):
            model(tokens[:, 100:101], past_key_values=cache)
        again = handle.cache()
        close(stepped(model, again, tokens, [100, *[1] * 20]), model(tokens).logits)
        assert held(again.layers[0]) < set(range(120))


class TestRefused:
    @pytest.fixture
    def handle(self, model):
        return pc.attach(model, pattern("near"))

    @pytest.fixture
    def cache(self, model, handle, tokens):
        made = handle.cache()
        with torch.no_grad():
            model(tokens[:, :100], past_key_values=made)
        return made

    def refused(self, model, cache, tokens, match, **more):
        with torch.no_grad(), pytest.raises(UnsupportedCallError, match=match):
            model(tokens[:, 100:101], past_key_values=cache, **more)

    def test_behind_another_attachment(self, model, handle, cache, tokens):
        handle.detach()
        self.refused(model, cache, tokens, "detached")
        with pc.attach(model, pattern("near")):
            self.refused(model, cache, tokens, "detached")

    def test_behind_the_models_own_attention(self, model, cache, tokens):
        model.set_attn_implementation("sdpa")
        self.refused(model, cache, tokens, "attn_implementation='sdpa'")

    def test_by_another_model(self, handle, cache, tokens):
        other = make("llama")
        self.refused(other, cache, tokens, "another model fills it")
        with pc.attach(other, pattern("near")) as theirs:
            theirs.cache()
            self.refused(other, cache, tokens, "another model fills it")

    def test_behind_a_call_that_broke_off(self, model, cache, tokens):
        with torch.no_grad(), pytest.raises(UnsupportedCallError, match="jump"):
            model(tokens[:, 100:102], past_key_values=cache, position_ids=torch.tensor([[100, 102]]))
        self.refused(model, cache, tokens, "broke off")

    def test_other_padding_than_before(self, model, cache, tokens):
        padding = torch.ones(2, 101, dtype=torch.int64)
        padding[0, :5] = 0
        self.refused(model, cache, tokens, "other tokens as padding", attention_mask=padding)

    def test_tokens_that_are_taken_back(self, cache):
        assert not any(layer.is_croppable for layer in cache.layers)
        with pytest.raises(UnsupportedCallError, match="taken back"):
            cache.crop(-1)

    def test_no_cache_of_a_spent_handle(self, handle):
        handle.detach()
        with pytest.raises(AttachError, match="detached"):
            handle.cache()

    def test_no_cache_of_layers_that_share_keys(self):
        config = transformers.Gemma3nTextConfig(
            **COMMON | {"num_hidden_layers": 4}, head_dim=8, vocab_size_per_layer_input=97, laurel_rank=8,
            hidden_size_per_layer_input=8, num_kv_shared_layers=2, layer_types=["full_attention"] * 4,
            activation_sparsity_pattern=[0.0] * 4,
        )  # fmt: skip
        model = transformers.Gemma3nForCausalLM._from_config(config, attn_implementation="sdpa").eval()
        with pc.attach(model, pattern("near")) as handle, pytest.raises(AttachError, match="shared ones"):
            handle.cache()

    def test_no_cache_of_an_encoder(self, patterns):
        config = transformers.BertConfig(
            vocab_size=97, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=6
        )
        encoder = transformers.BertModel._from_config(config, attn_implementation="sdpa").eval()
        with pc.attach(encoder, patterns("both")) as handle, pytest.raises(AttachError, match="encoder"):
            handle.cache()
