"""What dense attention looks at: the target of everything that is distilled. A few rows at a time, never all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...compiler.relations.integer import TRUE, Predicate, evaluate
from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from ..selectors.inputs import Inputs

LARGEST_TABLE = 1 << 24
"""Attention weights of all heads that are held at once, for each batch element."""

POOLS = ("max", "sum")


@dataclass(frozen=True, slots=True, eq=False)
class DenseAttention:
    """The attention of one layer without a pattern.

    q [B, Hq, Nq, D] and k [B, Hkv, Nk, D] as attention uses them, rotary embedding included; ``inputs`` say which
    tokens exist, and are what selectors read. ``scale``: D^-1/2 if None; ``softcap`` as in ``Compiled``. ``within``,
    over i, j and the lengths: the pairs that are looked at, for a selector those that no positional term reads; weights
    are those of the whole row.
    """

    q: Tensor
    k: Tensor
    inputs: Inputs
    direction: Direction
    scale: float | None = None
    softcap: float | None = None
    within: Predicate = TRUE

    @torch.no_grad()
    def rows(self, size: int) -> Iterator[Tensor]:
        """[B, Hq, some blocks of ``size`` queries, size, Nk] at a time, in order: the weights, at least float32; 0
        where a pair is not ``within``, in rows without a query, and behind the last row."""
        for scores, query in self._scores(size):
            allowed = self._allowed(query)
            if self.within != TRUE:
                allowed = allowed & self._looked_at(query)
            weights = torch.softmax(scores, -1).masked_fill_(~allowed, 0.0)  # a row of -inf is NaN, and masked
            if short := -len(query) % size:  # a pad of nothing would be a copy
                weights = F.pad(weights, (0, 0, 0, short))
            yield weights.view(*weights.shape[:2], -1, size, weights.shape[-1])

    @torch.no_grad()
    def lse(self) -> Tensor:
        """[B, Hq, Nq], at least float32: the logarithm of the normaliser of each row; -inf without a query or a key."""
        return torch.cat([torch.logsumexp(scores, -1) for scores, _ in self._scores(1)], 2)

    def _scores(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(scores [B, Hq, R, Nk], -inf where the direction or the lengths allow no pair; which queries they are)."""
        q, k = self.q, self.k
        wide = torch.promote_types(q.dtype, torch.float32)
        scale = q.shape[-1] ** -0.5 if self.scale is None else self.scale
        keys = k.to(wide).repeat_interleave(q.shape[1] // k.shape[1], 1)
        blocks = -(-q.shape[2] // size)
        at_once = max(1, LARGEST_TABLE // max(1, q.shape[1] * size * k.shape[2]))
        for start in range(0, max(1, blocks), at_once):
            rows = q[:, :, start * size : (start + at_once) * size].to(wide)
            query = start * size + torch.arange(rows.shape[2], device=q.device)
            scores = (rows @ keys.mT).mul_(scale)
            if self.softcap is not None:
                scores = scores.div_(self.softcap).tanh_().mul_(self.softcap)
            yield scores.masked_fill_(~self._allowed(query), -torch.inf), query

    def _allowed(self, query: Tensor) -> Tensor:
        """bool [B, 1, R, Nk]."""
        inputs, place = self.inputs, torch.arange(self.k.shape[2], device=query.device)
        allowed = inputs.key.exists()[:, None, None] & inputs.query.exists()[:, None, query, None]
        return allowed & (place <= query[:, None]) if self.direction is Direction.CAUSAL else allowed

    def _looked_at(self, query: Tensor) -> Tensor:
        """bool, broadcasts to [B, 1, R, Nk]."""
        queries, keys = (side.counts().view(-1, 1, 1, 1) for side in (self.inputs.query, self.inputs.key))
        values: dict[str, Any] = {"i": query[:, None], "j": torch.arange(self.k.shape[2], device=query.device)}
        found = evaluate(self.within, values | {"n": keys, "nq": queries, "nk": keys}, torch)
        return torch.as_tensor(found, device=query.device)


@torch.no_grad()
def block_attention(dense: DenseAttention, block: int, *, pool: str = "max") -> Tensor:
    """[B, Hkv, query blocks, key blocks], at least float32: of each pair of blocks the greatest weight of dense
    attention (``max``; Gao et al. 2024, section 3.3), or the sum of them (``sum``), the mean over the heads of a group.
    Each row adds up to 1, or is 0 where nothing of it is looked at. Peak memory is a few rows of blocks by all keys.
    """
    if pool not in POOLS:
        raise ArgumentError("pool", repr(pool), f"choose one of {', '.join(POOLS)}")
    rows = []
    for weights in dense.rows(block):
        weights = in_blocks(weights, block)
        # Queries first, along whole rows of keys: over both at once takes three times as long.
        pooled = weights.amax(3).amax(-1) if pool == "max" else weights.sum(3).sum(-1)
        rows.append(over_groups(pooled, dense.k.shape[1]))
    return normalised(torch.cat(rows, 2))


@torch.no_grad()
def tile_attention(dense: DenseAttention, tile: int) -> Iterator[Tensor]:
    """[B, 1, some tiles, Nk] at a time, in order: dense attention summed over the heads and the queries of each tile,
    each row adding up to 1 (DeepSeek-AI 2025, section 2.1.1)."""
    for weights in dense.rows(tile):
        yield normalised(weights.sum((1, 3))[:, None])


def in_blocks(weights: Tensor, block: int) -> Tensor:
    """[..., Nk] as [..., key blocks, block], with 0 behind the last key."""
    if short := -weights.shape[-1] % block:
        weights = F.pad(weights, (0, short))
    return weights.view(*weights.shape[:-1], -1, block)


def over_groups(x: Tensor, groups: int) -> Tensor:
    """[B, Hq, ...] as [B, groups, ...]: the mean over the heads of each group."""
    return x.view(x.shape[0], groups, -1, *x.shape[2:]).mean(2)


def normalised(rows: Tensor) -> Tensor:
    """Each row adding up to 1, or 0."""
    total = rows.sum(-1, keepdim=True)
    return rows / total.masked_fill(total == 0, 1.0)
