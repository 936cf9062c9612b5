"""How much a block of queries wants a block of keys: by their means, or by a learned predictor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from .inputs import HEADS, HIDDEN, Inputs, Side
from .layer import BUCKETS, LayerShape, distance_buckets
from .pooling import arrival_means, block_ends, block_means, first_tokens, group_means, prefix_means


def query_blocks(heads: Tensor, inputs: Inputs, block: int, direction: Direction) -> Tensor:
    """[B, H, query blocks, D], causal where the direction is."""
    mean = arrival_means if direction is Direction.CAUSAL else block_means
    return mean(heads, inputs.query.exists(), block)


def replace_own(scores: Tensor, own: Tensor) -> Tensor:
    """scores [..., n, n] with ``own`` [..., n] on the diagonal: the block being written, known by its first token."""
    diagonal = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    return torch.where(diagonal, own[..., None], scores)


class MeanScorer(nn.Module):
    """<mean query, mean key> / sqrt(D), the queries of a group of heads together (Lu et al. 2025, section 2.2; Jiang et
    al. 2024, algorithm 2). Nothing is learned."""

    frozen = True
    reads = HEADS

    def forward(self, inputs: Inputs, block: int, direction: Direction) -> Tensor:
        """[B, Hkv, query blocks, key blocks]."""
        q, k = (side.needs("heads", "topk_blocks") for side in (inputs.query, inputs.key))
        wide = torch.promote_types(q.dtype, torch.float32)
        q, k = q.to(wide), k.to(wide)
        q = group_means(q, k.shape[1]) * q.shape[-1] ** -0.5
        queries = query_blocks(q, inputs, block, direction)
        scores = queries @ block_means(k, inputs.key.exists(), block).mT
        if direction is Direction.CAUSAL:
            own = (queries * first_tokens(k, inputs.key.exists(), block)).sum(-1)
            scores = replace_own(scores, own)
        return scores


class BlockScorer(nn.Module):
    """<P_q [q ; g], P_k [k ; g]> / sqrt(r) + d, per key head: q the mean query of the block and of the group of heads,
    k the greatest, least and mean key of the block side by side (Gao et al. 2024, section 3.2), g the mean hidden state
    of the sequence up to the block, d a learned value for the distance between the two, by its magnitude.

    Adding a constant to all scores of a head changes no choice among them, so there is none.
    """

    frozen = False

    def __init__(self, shape: LayerShape, *, rank: int = 128, context: bool = True) -> None:
        super().__init__()
        self.context, more = context, shape.width if context else 0
        self.reads = HEADS | HIDDEN if context else HEADS
        groups = shape.key_heads
        self.query = nn.Parameter(torch.empty(groups, shape.head_dim + more, rank))
        self.key = nn.Parameter(torch.empty(groups, 3 * shape.head_dim + more, rank))
        self.distance = nn.Parameter(torch.zeros(groups, BUCKETS))
        for weight in (self.query, self.key):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    def forward(self, inputs: Inputs, block: int, direction: Direction) -> Tensor:
        """[B, Hkv, query blocks, key blocks]."""
        causal = direction is Direction.CAUSAL
        heads = inputs.query.needs("heads", "topk_blocks", self.query.dtype)
        key_heads = inputs.key.needs("heads", "topk_blocks", self.query.dtype)
        q = group_means(heads, key_heads.shape[1])
        queries = self._with_context(query_blocks(q, inputs, block, direction), inputs.query, block, direction, "first")
        exists = inputs.key.exists()
        summary = torch.cat([*block_ends(key_heads, exists, block), block_means(key_heads, exists, block)], -1)
        keys = self._with_context(summary, inputs.key, block, direction, "last")
        projected = queries @ self.query * self.query.shape[-1] ** -0.5
        scores: Tensor = projected @ (keys @ self.key).mT
        if causal:
            first = first_tokens(key_heads, exists, block).repeat(1, 1, 1, 3)  # of one token, all three are itself
            first = self._with_context(first, inputs.key, block, direction, "first")
            scores = replace_own(scores, (projected * (first @ self.key)).sum(-1))
        if direction is not Direction.CROSS:
            scores = scores + self.distance[:, distance_buckets(scores.shape[-1], scores.device)]
        return scores

    def _with_context(self, blocks: Tensor, side: Side, block: int, direction: Direction, until: str) -> Tensor:
        """The mean hidden state up to the ``first`` or ``last`` token of each block; of all, where not causal."""
        if not self.context:
            return blocks
        means = prefix_means(side.needs("hidden", "topk_blocks", self.query.dtype), side.exists())
        n, count = means.shape[1], blocks.shape[-2]
        if direction is Direction.CAUSAL:
            place = torch.arange(count, device=means.device) * block + (0 if until == "first" else block - 1)
            means = means[:, place.clamp(max=n - 1)]
        else:
            means = means[:, -1:].expand(-1, count, -1)
        return torch.cat([blocks, means[:, None].expand(-1, blocks.shape[1], -1, -1)], -1)
