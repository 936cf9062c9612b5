"""Tokens that are brought to the front and back: one by one, with and without a gradient."""

from __future__ import annotations

import pytest
import torch

from patternc.runtime.selectors.front import Front

SPANS = [[0, 9], [3, 9], [2, 7], [9, 9], [5, 9]]


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize(("held", "first", "count"), [(0, 0, 9), (0, 0, 7), (0, 4, 3), (6, 2, 7), (8, 3, 6)])
def test_each_token_has_its_place(grad: bool, dim: int, held: int, first: int, count: int) -> None:
    front, n = Front(torch.tensor(SPANS, dtype=torch.int32)), 9
    x = torch.randn(5, *[2] * (dim - 1), n - held, 3)
    brought, tokens = torch.zeros(5, *[2] * (dim - 1), count, 3), torch.randn(5, *[2] * (dim - 1), count, 3)
    back = torch.full(x.shape, -7.0)
    for element, (start, end) in enumerate(SPANS):
        for place in range(held, n):
            if start <= place < end and first <= place - start < first + count:
                brought[element, ..., place - start - first, :] = x[element, ..., place - held, :]
                back[element, ..., place - held, :] = tokens[element, ..., place - start - first, :]
    with torch.set_grad_enabled(grad):
        assert torch.equal(front.bring(x, dim, held=held, first=first, count=count), brought)
        assert torch.equal(front.put_back(tokens, dim, -7.0, held=held, first=first, count=n - held), back)
