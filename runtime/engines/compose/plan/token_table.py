"""A tensor [B, H, N, ...] as one long table, a row for each token of each head.

Along the first of its dims torch gathers rows as fast as it copies them; along the third it takes three times as long.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class TokenTable(NamedTuple):
    """``rows`` [R, ...], a view: token t of head h of batch element b is row ``first[b * H + h] + t * step``. There are
    rows between the tokens that are no token's where they lie in memory so."""

    rows: Tensor
    first: Tensor
    step: int

    @classmethod
    def of(cls, x: Tensor) -> TokenTable:
        batch, heads, tokens, *row = x.shape
        strides = x.stride()
        apart = math.gcd(*(stride for stride, size in zip(strides, x.shape[:3], strict=False) if size > 1)) or 1
        steps = tuple(stride // apart for stride in strides[:3])
        first = _firsts((batch, heads), steps[:2])
        last = (batch - 1) * steps[0] + (heads - 1) * steps[1] + (tokens - 1) * steps[2]
        return cls(x.as_strided((last + 1, *row), (apart, *strides[3:])), first, steps[2])

    def of_heads(self, tokens: Tensor) -> Tensor:
        """The rows of some tokens [T], of every head [B * H * T]."""
        return torch.add(self.first, tokens, alpha=self.step).view(-1)


@lru_cache(maxsize=64)
def _firsts(sizes: tuple[int, int], steps: tuple[int, int]) -> Tensor:
    """[B * H, 1]."""
    batch, heads = (torch.arange(size) * step for size, step in zip(sizes, steps, strict=True))
    return (batch[:, None] + heads).view(-1, 1)
