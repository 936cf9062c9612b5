"""Tensors whose dimensions share memory: what the kernel makes of their strides must not reach the result."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import patternc as pc

HEADS, DIM = 3, 16
BODIES = {
    "dense": "causal { step everything }",
    "window": "causal { step local(20) }",
    "strided": "causal { step local(16) | strided(16) }",
    "not a block": "bidirectional { step not block(16) }",
}


def heads_side_by_side(length: int) -> Tensor:
    """[2, HEADS, length, DIM], each head a number further along one signal than the one before."""
    signal = torch.randn(2 * HEADS + length + DIM)
    return signal.as_strided((2, HEADS, length, DIM), (HEADS, 1, 1, 1))


@pytest.mark.parametrize("which", "qkv")
@pytest.mark.parametrize("queries", [1, 40, 150])
@pytest.mark.parametrize("body", BODIES)
def test_heads_that_share_numbers(body: str, queries: int, which: str) -> None:
    pattern = pc.loads(f"pattern p {BODIES[body]}")["p"]
    torch.manual_seed(0)
    n = 150
    tensors = {"q": torch.randn(2, HEADS, queries, DIM), "k": torch.randn(2, HEADS, n, DIM)}
    tensors["v"] = torch.randn(2, HEADS, n, DIM)
    tensors[which] = heads_side_by_side(tensors[which].shape[2])
    out = pc.compile(pattern, head_dim=DIM)(*tensors.values(), query_offset=n - queries)
    q, k, v = (x.double() for x in tensors.values())
    mask = torch.as_tensor(pattern.mask(n))[n - queries :]
    scores = (q @ k.mT * DIM**-0.5).masked_fill(~mask, -math.inf)
    torch.testing.assert_close(out, (scores.softmax(-1) @ v).float(), atol=1e-5, rtol=1e-5)
