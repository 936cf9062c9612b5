"""What a causal selector chooses for the whole sequence is what it chooses token by token."""

from __future__ import annotations

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned, pairs_of, prefix

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Pooled
from patternc.runtime.selectors.dense import written_out

N = 23
DECLARATIONS = [
    "importance(budget = 30%)",
    "topk(k = 3)",
    "topk(k = 4, per = head, relax = sparsek)",
    "topk(k = 40, per = layer)",
    "topk_blocks(k = 3, block = 4)",
    "topk_blocks(k = 2, block = 3, scores = pooled, forced = [diagonal])",
    "topk_blocks(k = 2, block = 5, forced = [])",
    "topk_blocks(k = 2, block = 3, scores = pooled, forced = [])",
    "topk_keys(k = 4, tile = 5)",
    "topk_keys(k = 3, tile = 4, forced = [])",
    "topk_keys(k = 5, tile = 8, forced = [first, diagonal])",
    "topk_keys(k = 3, tile = 1, forced = [])",
    "topk_keys(k = 1, tile = 4)",
    "granularity(block = 4)",
    "granularity(block = 5, levels = [skip, coarse, fine])",
]


@pytest.mark.parametrize("random", [None, 7], ids=["learned", "random"])
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_token_by_token(declaration: str, random: int | None) -> None:
    selector = learned(declaration, "causal", random=random).selectors["s"]
    inputs = layer_inputs(N)
    whole = written(selector(inputs), inputs)
    for n in range(1, N + 1):
        part = prefix(inputs, n)
        for together, alone in zip(whole, written(selector(part), part), strict=True):
            row = together[:, :, n - 1]
            assert torch.equal(row[..., : alone.shape[-1]], alone[:, :, n - 1])
            assert not row[..., alone.shape[-1] :].any()


@pytest.mark.parametrize("size", [1, 4])
def test_summaries_token_by_token(size: int) -> None:
    pool, inputs = Pooled(Direction.CAUSAL, size), layer_inputs(N)
    values = torch.randn_like(inputs.key.heads)
    whole = pool(inputs, values)
    for n in range(1, N + 1):
        part = pool(prefix(inputs, n), values[:, :, :n])
        seen = int((whole.visible_from <= n - 1).sum())
        assert seen == len(part.visible_from) and torch.equal(part.visible_from, whole.visible_from[:seen])
        torch.testing.assert_close(part.keys, whole.keys[:, :, :seen])
        torch.testing.assert_close(part.values, whole.values[:, :, :seen])


def written(selection, inputs) -> list[torch.Tensor]:
    """The keys, and the summaries of each size, that each query reads."""
    _, summaries = written_out(selection, inputs, inputs.key.heads, inputs.key.heads, SHAPE.query_heads)
    return [pairs_of(selection, inputs), *(each.pairs for each in summaries)]
