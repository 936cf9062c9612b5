"""Where each token is dropped from the k best, against every prefix sorted anew."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.runtime.selectors.relaxations.prefix_topk import dropped_at


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.integers(0, 22), st.integers(0, 2**20 - 1))
def test_every_prefix(values: list[int], k: int, mask: int) -> None:
    scores = [-torch.inf if mask >> place & 1 else value for place, value in enumerate(values)]
    dropped = dropped_at(torch.tensor(scores, dtype=torch.float64), k).tolist()
    for i in range(len(values)):
        there = [j for j in range(i + 1) if scores[j] > -torch.inf]
        best = sorted(there, key=lambda j: (-scores[j], j))[:k]
        assert [j for j in range(i + 1) if i < dropped[j]] == sorted(best)


def test_rows_are_apart() -> None:
    scores = torch.randn(2, 3, 33)
    together = dropped_at(scores, 5)
    for place in torch.cartesian_prod(torch.arange(2), torch.arange(3)):
        assert torch.equal(together[tuple(place)], dropped_at(scores[tuple(place)], 5))


def test_no_tokens() -> None:
    assert dropped_at(torch.zeros(2, 0), 3).shape == (2, 0)
