"""One token at a time, learned layers choose and give what they do for the whole text at once."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from learned_models import CAUSAL, attached, pattern, plan, stir
from runtime_models import LEFT, close, logical_positions, make, padded, transformers

import patternc as pc
from patternc.library import catalogue
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import UnsupportedCallError
from patternc.runtime.models.attaching.programs import is_learned
from patternc.runtime.selectors.dense import written_out


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 17))


def read_pairs(watched, element, row):
    """Of each selection: the keys of one query, counted from the front, by head; and the summaries that it reads."""
    k = watched.k
    found = []
    for name, selection in sorted(watched.selections.items()):
        if name.startswith("gated"):
            continue
        terms, summaries = written_out(selection, watched.inputs, k, k, watched.q.shape[1])
        for term in terms:
            gate = torch.zeros(()) if term.log_gate is None else term.log_gate
            pairs = (term.pairs & (gate > -torch.inf)).expand(k.shape[0], watched.q.shape[1], -1, -1)
            found.append(pairs[element, :, row, : row + 1])
        found += [
            each.pairs.expand(k.shape[0], watched.q.shape[1], -1, -1)[element, :, row].nonzero() for each in summaries
        ]
    return found


def step(model, tokens, padding, cache, start, stop):
    return model(
        tokens[:, start:stop],
        attention_mask=padding[:, :stop],
        position_ids=logical_positions(padding)[:, start:stop],
        past_key_values=cache,
        use_cache=True,
    )


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "name", "random"),
    [*(("llama", name, random) for name in CAUSAL for random in (None, 3)), ("gpt_neox", "mixed", None)],
)
def test_token_by_token(tokens, kind, name, random):
    """GPT-NeoX has another name for the cache."""
    model, handle = attached(kind, name, torch.float64, random=random)
    padding = padded(tokens, LEFT)
    with handle.watch() as whole:
        expected = step(model, tokens, padding, None, 0, 17).logits
    cache, before = transformers.DynamicCache(config=model.config), 8
    found = [step(model, tokens, padding, cache, 0, before).logits]
    for place in range(before, 17):
        with handle.watch() as now:
            found.append(step(model, tokens, padding, cache, place, place + 1).logits)
        for layer in now:
            for element, start in enumerate([5, 0]):
                pairs = zip(
                    read_pairs(now[layer], element, place - start),
                    read_pairs(whole[layer], element, place - start),
                    strict=True,
                )
                for mine, theirs in pairs:
                    assert torch.equal(mine, theirs)
    mine = torch.cat(found, 1)
    close(mine[padding.bool()], expected[padding.bool()])


@torch.no_grad()
@pytest.mark.parametrize("tile", [1, 4])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_repeated_tokens_choose_as_in_the_whole_text(kind, tile):
    """In the first layer of llama a token is the same wherever it stands, but for the turn of the indexer."""
    model = make(kind).double()
    subject = pc.loads(f"pattern p causal {{ learn x = topk_keys(k = 3, tile = {tile}, forced = []) step select(x) }}")
    handle = pc.attach(model, subject["p"].bind())
    tokens = torch.tensor([[5, 9]]).repeat(2, 9)[:, :17]
    padding = padded(tokens, LEFT)
    with handle.watch() as whole:
        expected = step(model, tokens, padding, None, 0, 17).logits
    cache = transformers.DynamicCache(config=model.config)
    found = [step(model, tokens, padding, cache, 0, 8).logits]
    for place in range(8, 17):
        with handle.watch() as now:
            found.append(step(model, tokens, padding, cache, place, place + 1).logits)
        for layer, (element, start) in itertools.product(now, enumerate([5, 0])):
            row = place - start
            mine, theirs = (read_pairs(each[layer], element, row) for each in (now, whole))
            assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))
            assert int(mine[0][0].sum()) == min(3, row + 1)
    close(torch.cat(found, 1)[padding.bool()], expected[padding.bool()])


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("missing", [0, 1, 3])
def test_blocks_that_begin_at_once_or_one_after_the_other(tokens, name, missing):
    model, _ = attached("llama", name)
    padding = torch.ones_like(tokens)
    padding[0, :missing] = 0
    expected = step(model, tokens, padding, None, 0, 17).logits
    cache = transformers.DynamicCache(config=model.config)
    found = [step(model, tokens, padding, cache, 0, 6).logits]
    places = [6, 7, 8, 9, 10, 12, 13, 14, 16, 17]
    found += [step(model, tokens, padding, cache, *each).logits for each in itertools.pairwise(places)]
    close(torch.cat(found, 1)[padding.bool()], expected[padding.bool()])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gpt2", "qwen3"])
@pytest.mark.parametrize("engine", ["compose", "reference"])
def test_logits_of_a_few_tokens_at_a_time(tokens, kind, engine):
    model, _ = attached(kind, "mixed", engine=engine)
    expected = model(tokens, use_cache=False).logits
    first = model(tokens[:, :7], use_cache=True)
    second = model(tokens[:, 7:16], past_key_values=first.past_key_values)
    third = model(tokens[:, 16:], past_key_values=second.past_key_values)
    close(torch.cat([first.logits, second.logits, third.logits], 1), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", ["blocks", "keys", "axis"])
@pytest.mark.parametrize("options", [{}, {"prefill_chunk_size": 4}, {"num_beams": 3}, {"num_return_sequences": 2}])
def test_generate_with_the_cache_equals_no_cache(tokens, name, options):
    model, _ = attached("llama", name)
    settings = {"attention_mask": padded(tokens, LEFT), "max_new_tokens": 7, "pad_token_id": 0, "do_sample": False}
    settings |= options
    if "num_return_sequences" in options:
        settings["num_beams"] = 2
    expected = model.generate(tokens, **settings | {"prefill_chunk_size": None}, use_cache=False)
    assert torch.equal(model.generate(tokens, **settings), expected)


@torch.no_grad()
def test_assisted_generation_takes_tokens_back(tokens):
    """The assistant's guesses that are refused are cropped from the cache."""
    model, _ = attached("llama", "blocks")
    assistant = make("llama", num_hidden_layers=1)
    settings = {"max_new_tokens": 9, "pad_token_id": 0, "do_sample": False}
    one = tokens[:1]
    expected = model.generate(one, **settings, use_cache=False)
    assert torch.equal(model.generate(one, **settings, assistant_model=assistant), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("side", [None, LEFT])
def test_a_cache_that_is_changed_is_followed(tokens, name, side):
    model, _ = attached("llama", name)
    padding = torch.ones_like(tokens) if side is None else padded(tokens, side)
    cache = step(model, tokens, padding, None, 0, 9).past_key_values
    kept = copy.deepcopy(cache)
    for place in range(9, 14):
        step(model, tokens, padding, cache, place, place + 1)
    cache.crop(-5)
    other = torch.cat([tokens[:, :9], tokens[:, 12:]], 1)  # other tokens in the place of those
    expected = step(model, other, padding[:, :14], None, 0, 14).logits[:, 9:]
    close(follow(model, other, padding, cache), expected)
    kept.batch_select_indices(torch.tensor([1]))
    close(follow(model, other[1:], padding[1:], kept), expected[1:])
    kept.crop(-5)
    kept.batch_repeat_interleave(3)
    three = expected[1:].expand(3, -1, -1)
    close(follow(model, other[1:].expand(3, -1), padding[1:].expand(3, -1), kept), three)
    kept.crop(-5)
    kept.reorder_cache(torch.tensor([2, 0]))
    close(follow(model, other[1:].expand(2, -1), padding[1:].expand(2, -1), kept), three[:2])


def follow(model, tokens, padding, cache):
    """Logits of the tokens from the tenth on: two, one, one and one."""
    places = [(9, 11), (11, 12), (12, 13), (13, 14)]
    return torch.cat([step(model, tokens, padding, cache, *place).logits for place in places], 1)


@torch.no_grad()
@pytest.mark.parametrize("name", ["blocks", "keys", "levels"])
@pytest.mark.parametrize("missing", [0, 1, 5])
def test_beams_that_change_places_at_every_token(tokens, name, missing):
    model, _ = attached("llama", name)
    padding, order = torch.ones_like(tokens), torch.tensor([1, 0])
    padding[0, :missing] = 0
    cache = step(model, tokens, padding, None, 0, 8).past_key_values
    now, mask = tokens.clone(), padding.clone()
    for place in range(8, 17):
        cache.reorder_cache(order)
        now[:, :place], mask = now[order, :place], mask[order]
        found = step(model, now, mask, cache, place, place + 1).logits
        close(found, step(model, now, mask, None, 0, place + 1).logits[:, -1:])


@torch.no_grad()
def test_a_prefill_that_is_dense_is_remembered(tokens):
    model, handle = attached("llama", "blocks")
    with handle.dense():
        cache = model(tokens[:, :9], use_cache=True).past_key_values
        expected = make("llama")(tokens).logits
    assert model(tokens[:, 9:], past_key_values=copy.deepcopy(cache)).logits.isfinite().all()
    with handle.dense():
        close(model(tokens[:, 9:], past_key_values=cache).logits, expected[:, 9:])


@torch.no_grad()
def test_only_what_is_read_is_remembered(tokens):
    names = {"axis": {"hidden"}, "keys": {"hidden"}, "means": {"q", "k"}, "blocks": {"hidden", "q", "k"}, "gate": set()}
    for name, kept in names.items():
        model, _ = attached("llama", name)
        cache = model(tokens, use_cache=True).past_key_values
        assert {key for layer in cache.layers for key in getattr(layer, "memory", {})} == kept


@torch.no_grad()
def test_caches_that_cannot_be_followed(tokens):
    model, handle = attached("llama", "blocks")
    handle.detach()
    cache = model(tokens[:, :9], use_cache=True).past_key_values
    pc.attach(model, pattern("blocks"))
    with pytest.raises(UnsupportedCallError, match="the cache has 10 tokens, and of 1 of them is known"):
        model(tokens[:, 9:10], past_key_values=cache)

    class Own(transformers.cache_utils.DynamicLayer):
        pass

    strange = transformers.DynamicCache()
    strange.layer_class_to_replicate = Own
    with pytest.raises(UnsupportedCallError, match="a DynamicCache of Own does not show"):
        model(tokens, past_key_values=strange)


@torch.no_grad()
def test_a_pattern_that_mentions_the_length_does_not_decode(tokens):
    text = "pattern p causal { learn t = topk(k = 2) step columns(t) | { (i, j) : j >= n - 3 } | local(1) }"
    model = make("llama")
    pc.attach(model, pc.loads(text)["p"])
    cache = model(tokens, use_cache=True).past_key_values
    with pytest.raises(UnsupportedCallError, match="mentions the length n"):
        model(tokens[:, :1], past_key_values=cache)


def test_gradients_through_a_cache(tokens):
    model, handle = attached("llama", "mixed")
    parameters = [*model.parameters()]
    whole = model(tokens, use_cache=False).logits[:, 9:].square().sum()
    expected = torch.autograd.grad(whole, parameters)
    first = model(tokens[:, :9], use_cache=True)
    loss = model(tokens[:, 9:], past_key_values=first.past_key_values).logits.square().sum()
    for mine, theirs in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        assert (mine - theirs).abs().max() <= 1e-4 * theirs.abs().max() + 1e-5
    assert handle.attached


def stock():
    """The causal stock patterns with learned terms."""
    modules = [pc.load(f"library:{name}") for name in catalogue.names()]
    bound = [each.bind() for module in modules for each in module.patterns.values()]
    return [each for each in bound if each.direction is Direction.CAUSAL and is_learned(each)]


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:pattern 'dsa'. `indexer` gathers:patternc.runtime.errors.CostWarning")
@pytest.mark.parametrize("subject", stock(), ids=lambda each: each.name)
def test_stock_patterns_decode(subject):
    tokens = torch.randint(3, 97, (1, 90))
    model = make("llama", num_hidden_layers=1)
    pc.attach(model, subject)
    expected = model(tokens, use_cache=False).logits
    first = model(tokens[:, :62], use_cache=True)
    close(first.logits, expected[:, :62])
    for place in range(62, 67):  # a block of 64 ends
        found = model(tokens[:, place : place + 1], past_key_values=first.past_key_values)
        close(found.logits, expected[:, place : place + 1])
    close(model(tokens[:, 67:], past_key_values=first.past_key_values).logits, expected[:, 67:])


@torch.no_grad()
def test_a_plan_with_dense_layers_decodes_padded_batches(tokens):
    """The mask is then that of the model's own attention, and padding is read back out of it."""
    model = make("llama")
    handle = pc.attach(model, plan("layers 0 : blocks\n layers 1 : dense\n layers 2 heads 0..2 : window"))
    stir(handle)
    padding = padded(tokens, LEFT)
    expected = step(model, tokens, padding, None, 0, 17).logits
    first = step(model, tokens, padding, None, 0, 9)
    second = step(model, tokens, padding, first.past_key_values, 9, 10)
    third = step(model, tokens, padding, second.past_key_values, 10, 17)
    mine = torch.cat([first.logits, second.logits, third.logits], 1)
    close(mine[padding.bool()], expected[padding.bool()])
