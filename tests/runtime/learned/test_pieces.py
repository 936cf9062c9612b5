"""Whatever the pieces that lists are computed in, the result is the same."""

from __future__ import annotations

import pytest
import torch
from learned_layers import close, data, layer, pattern, slopes

from patternc.runtime.learned import pieces

LEARN = """
    learn hot   = topk_blocks(k = 3, block = 5)
    learn few   = importance(budget = 30%)
    learn picks = topk_keys(k = 6, tile = 4)
    learn level = granularity(block = 8)
"""
STEPS = {
    "causal": "local(3) | select(hot) | columns(few) | select(picks) | pooled(4)",
    "bidirectional": "self | axis(few) | select(hot) | refine(level) | gated select(picks)",
}


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize(("scores", "keys"), [(1, 1), (300, 7), (2000, 10)])
def test_small_pieces_change_nothing(direction, scores, keys, monkeypatch) -> None:
    learned = layer(pattern(STEPS[direction], direction, LEARN))
    given, grad = data(37), None
    grad = torch.randn_like(given.q)
    leaves = (*given.leaves, *learned.parameters())

    def run():
        result = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
        return result.out, result.lse, *slopes(result, grad, leaves)

    whole = run()
    monkeypatch.setattr(pieces, "MOST_SCORES", scores)
    monkeypatch.setattr(pieces, "LONGEST_LIST", keys)
    for mine, wanted in zip(run(), whole, strict=True):
        close(mine, wanted, 1e-12)
