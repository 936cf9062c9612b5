"""Packed documents: rows whose positions start anew, or whose borders the caller names."""

from __future__ import annotations

import pytest
import torch
from runtime_models import close, make

import patternc as pc
from patternc.runtime.errors import UnsupportedCallError
from patternc.runtime.models.masks.mask_function import MaskFunction
from patternc.runtime.models.masks.packing import documents_in_mask, documents_of, starts_of

masking = pytest.importorskip("transformers.masking_utils")

LENGTHS = ((4, 6, 1, 8), (9, 10))
POSITIONS = torch.stack([torch.cat([torch.arange(n) for n in row]) for row in LENGTHS])


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 19))


def packed_mask(pattern):
    """bool [2, 1, 19, 19]: the pattern within each document."""
    rows = [torch.block_diag(*(pattern.mask(n) for n in row)).bool() for row in LENGTHS]
    return torch.stack(rows)[:, None]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3"])
@pytest.mark.parametrize("name", ["dense", "window", "factorized", "tail"])
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_each_document_is_a_sequence_of_its_own(patterns, tokens, kind, name, engine):
    model, pattern = make(kind), patterns(name)
    theirs = model(tokens, attention_mask=packed_mask(pattern), position_ids=POSITIONS).logits
    with pc.attach(model, pattern, engine=engine):
        close(model(tokens, position_ids=POSITIONS, use_cache=False).logits, theirs)


def test_gradients(patterns, tokens):
    model, pattern = make("llama").train(), patterns("factorized")
    model(tokens, labels=tokens, attention_mask=packed_mask(pattern), position_ids=POSITIONS).loss.backward()
    theirs = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    with pc.attach(model, pattern, engine="compose"):
        model(tokens, labels=tokens, position_ids=POSITIONS, use_cache=False).loss.backward()
    for name, parameter in model.named_parameters():
        close(parameter.grad, theirs[name])


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_beside_layers_that_stay_the_models_own(plans, patterns, tokens, implementation):
    """There the mask is the model's own, in 4D."""
    model = make("llama", implementation=implementation)
    theirs = model(tokens, position_ids=POSITIONS, use_cache=False).logits
    with pc.attach(model, plans("layers 1 : dense"), engine="compose"):
        close(model(tokens, position_ids=POSITIONS, use_cache=False).logits, theirs)


@torch.no_grad()
def test_borders_that_the_caller_names(patterns, tokens):
    """What DataCollatorWithFlattening(return_flash_attn_kwargs=True) adds to a batch of one row."""
    model, one = make("llama"), tokens[:1]
    edges = torch.tensor([0, 4, 10, 11, 19], dtype=torch.int32)
    named = {"cu_seq_lens_q": edges, "cu_seq_lens_k": edges, "max_length_q": 8, "max_length_k": 8}
    with pc.attach(model, patterns("window"), engine="compose"):
        theirs = model(one, position_ids=POSITIONS[:1], use_cache=False).logits
        close(model(one, position_ids=POSITIONS[:1], use_cache=False, **named).logits, theirs)
        other = torch.tensor([0, 5, 19], dtype=torch.int32)
        with pytest.raises(UnsupportedCallError, match="do not begin the same documents"):
            model(one, position_ids=POSITIONS[:1], use_cache=False, cu_seq_lens_q=other, cu_seq_lens_k=other)


def test_documents_and_their_starts():
    starts = torch.tensor([[True, False, True, False], [False, False, False, True]])
    assert documents_of(starts).tolist() == [0, 2, 4, 7, 8]
    assert torch.equal(
        starts_of(documents_of(starts), 2, 4), starts | torch.tensor([[False] * 4, [True] + [False] * 3])
    )


@pytest.mark.parametrize("lengths", [(7,), (1, 6), (3, 1, 1, 2)])
def test_documents_in_an_explicit_mask(lengths):
    mask = torch.block_diag(*(torch.ones(n, n).tril() for n in lengths)).bool()[None]
    assert documents_in_mask(mask).tolist() == torch.tensor([0, *lengths]).cumsum(0).tolist()
    for query, key in ((0, 3), (6, 0), (5, 5)):
        changed = mask.clone()
        changed[0, query, key] ^= True
        assert (len(lengths) > 1 and changed[0, query, key]) or documents_in_mask(changed) is None


def test_what_a_mask_function_means():
    def ask(function):
        return MaskFunction(function, 1, 12, 12, torch.device("cpu"))

    causal = masking.causal_mask_function
    packed = masking.packed_sequence_mask_function(torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]]))
    window = masking.sliding_window_causal_mask_function(4)
    assert ask(causal).is_causal() and not ask(causal).is_window(4)
    assert ask(window).is_window(4) and not ask(window).is_window(5) and not ask(window).is_window(3)
    assert not ask(window).is_causal() and ask(window).documents() is None
    both = masking.and_masks(causal, packed)
    assert ask(both).documents().tolist() == [0, 4, 9, 12] and not ask(both).is_causal()
    assert ask(masking.and_masks(window, packed)).documents() is None  # the second is longer than the window
    assert not ask(masking.and_masks(window, packed)).is_window(4)
    band = masking.sliding_window_bidirectional_mask_function(4)
    assert ask(band).is_band(4) and not ask(band).is_band(3) and not ask(band).is_band(5)
    assert not any(ask(band).is_window(size) for size in (4, 5)) and not ask(band).is_causal()
    assert not ask(window).is_band(4) and not ask(window).is_band(3) and ask(band).documents() is None
    assert not ask(masking.and_masks(band, packed)).is_band(4)
    blocks = masking.blockwise_overlay(torch.tensor([[-1, -1, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1]]))
    assert ask(masking.or_masks(both, blocks)).documents() is None
