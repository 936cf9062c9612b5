"""Perplexity, seconds and continuations, on a tiny random model."""

from __future__ import annotations

import math

import pytest
import torch
from runtime_models import make

from patternc.runtime.models.evaluate import continuation, perplexity


@pytest.fixture
def model():
    return make("llama")


def test_perplexity_is_that_of_each_window_by_itself(model):
    ids = torch.randint(3, 97, (25,))
    seen = []
    found = perplexity(model, ids, window=12, on_window=lambda done, total: seen.append((done, total)))
    losses = [model(piece[None], labels=piece[None]).loss.item() * 11 for piece in ids[:24].split(12)]
    assert (found.tokens, found.windows) == (22, 2)  # the last token stands alone: nothing to predict
    assert found.loss == pytest.approx(sum(losses) / 22, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert found.seconds > 0
    assert seen == [(1, 2), (2, 2)]


def test_a_text_longer_than_one_piece_of_the_loss(model, monkeypatch):
    ids = torch.randint(3, 97, (30,)).tolist()
    whole = perplexity(model, ids, window=30).loss
    monkeypatch.setattr("patternc.runtime.models.evaluate._ROWS", 4)
    assert perplexity(model, ids, window=30).loss == pytest.approx(whole, rel=1e-6)


def test_the_training_mode_is_kept(model):
    perplexity(model.train(), range(3, 9), window=6)
    assert model.training


@pytest.mark.parametrize(
    ("ids", "window", "message"), [([3, 4], 1, "window=1 predicts nothing"), ([3], 8, "of 1 token")]
)
def test_nothing_to_predict(model, ids, window, message):
    with pytest.raises(ValueError, match=message):
        perplexity(model, ids, window=window)


def test_the_continuation_is_greedy_and_does_not_stop(model):
    prompt = torch.randint(3, 97, (7,)).tolist()
    found = continuation(model, prompt, tokens=5)
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(5):
            logits = model(torch.tensor([ids])).logits[0, -1]
            logits[2] = -torch.inf  # the end of the text
            ids.append(logits.argmax().item())
    assert found == ids[7:]
