"""What dense attention looks at, pooled: the map that a selector is to learn. A few rows at a time, never all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from ..selectors.inputs import Inputs

LARGEST_TABLE = 1 << 24
"""Attention weights of all heads that are held at once, for each batch element."""

POOLS = ("max", "sum")


@torch.no_grad()
def block_attention(
    q: Tensor,
    k: Tensor,
    inputs: Inputs,
    block: int,
    direction: Direction,
    *,
    pool: str = "max",
    scale: float | None = None,
) -> Tensor:
    """[B, Hkv, query blocks, key blocks], at least float32: of each pair of blocks the greatest weight of dense
    attention (``max``; Gao et al. 2024, section 3.3), or the sum of them (``sum``), the mean over the heads of a group.
    Each row adds up to 1, or is 0 where its block has no query.

    q [B, Hq, Nq, D], k [B, Hkv, Nk, D] as attention uses them, rotary embedding included; ``inputs`` say which tokens
    exist. Peak memory is a few rows of blocks by all keys.
    """
    if pool not in POOLS:
        raise ArgumentError("pool", repr(pool), f"choose one of {', '.join(POOLS)}")
    rows = []
    for weights in _weights(q, k, inputs, block, direction, scale):
        short = -weights.shape[-1] % block
        weights = F.pad(weights, (0, short))
        batch, heads, count, width, keys = weights.shape
        weights = weights.view(batch, heads, count, width, keys // block, block)
        pooled = weights.amax((-1, 3)) if pool == "max" else weights.sum((-1, 3))
        rows.append(pooled.view(batch, k.shape[1], -1, count, keys // block).mean(2))
    return _normalised(torch.cat(rows, 2))


@torch.no_grad()
def tile_attention(
    q: Tensor, k: Tensor, inputs: Inputs, tile: int, direction: Direction, *, scale: float | None = None
) -> Iterator[Tensor]:
    """[B, 1, some tiles, Nk] at a time, in order: dense attention summed over the heads and the queries of each tile,
    each row adding up to 1 (DeepSeek-AI 2025, section 2.1.1). Arguments as of ``block_attention``."""
    for weights in _weights(q, k, inputs, tile, direction, scale):
        yield _normalised(weights.sum((1, 3))[:, None])


def _weights(
    q: Tensor, k: Tensor, inputs: Inputs, size: int, direction: Direction, scale: float | None
) -> Iterator[Tensor]:
    """[B, Hq, some blocks, size, Nk]: dense attention, 0 in rows without a query."""
    wide = torch.promote_types(q.dtype, torch.float32)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    keys = k.to(wide).repeat_interleave(q.shape[1] // k.shape[1], 1)
    blocks = -(-q.shape[2] // size)
    at_once = max(1, LARGEST_TABLE // max(1, q.shape[1] * size * k.shape[2]))
    place = torch.arange(k.shape[2], device=q.device)
    for start in range(0, max(1, blocks), at_once):
        rows = q[:, :, start * size : (start + at_once) * size].to(wide)
        query = start * size + torch.arange(rows.shape[2], device=q.device)
        allowed = inputs.key.exists()[:, None, None] & inputs.query.exists()[:, None, query, None]
        if direction is Direction.CAUSAL:
            allowed = allowed & (place <= query[:, None])
        scores = (rows @ keys.mT * scale).masked_fill(~allowed, -torch.inf)
        weights = torch.softmax(scores, -1).masked_fill(~allowed, 0.0)  # a row of -inf is NaN, and masked
        weights = F.pad(weights, (0, 0, 0, -rows.shape[2] % size))
        yield weights.view(*weights.shape[:2], -1, size, weights.shape[-1])


def _normalised(rows: Tensor) -> Tensor:
    total = rows.sum(-1, keepdim=True)
    return rows / total.masked_fill(total == 0, 1.0)
