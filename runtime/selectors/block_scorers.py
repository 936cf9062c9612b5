"""How much a block of queries wants a block of keys: by their means, or by a learned predictor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from .inputs import HEADS, HIDDEN, Inputs, Side
from .layer import BUCKETS, LayerShape, distance_buckets
from .pooling import arrival_means, block_ends, block_means, first_tokens, group_means, running_means


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
        of_queries, of_keys = self._contexts(inputs, block, direction)
        q = group_means(heads, key_heads.shape[1])
        queries = _joined(query_blocks(q, inputs, block, direction), of_queries.first)
        exists = inputs.key.exists()
        summary = torch.cat([*block_ends(key_heads, exists, block), block_means(key_heads, exists, block)], -1)
        keys = _joined(summary, of_keys.last)
        projected = queries @ self.query * self.query.shape[-1] ** -0.5
        scores: Tensor = projected @ (keys @ self.key).mT
        if causal:
            first = first_tokens(key_heads, exists, block).repeat(1, 1, 1, 3)  # of one token, all three are itself
            scores = replace_own(scores, (projected * (_joined(first, of_keys.first) @ self.key)).sum(-1))
        if direction is not Direction.CROSS:
            scores = scores + self.distance[:, distance_buckets(scores.shape[-1], scores.device)]
        return scores

    def _contexts(self, inputs: Inputs, block: int, direction: Direction) -> tuple[_Context, _Context]:
        """Of the queries' side and of the keys', which are one in self attention."""
        if not self.context:
            return _Context(None, None), _Context(None, None)
        of_keys = self._context(inputs.key, block, direction)
        one = inputs.query.hidden is inputs.key.hidden and inputs.query.lengths is inputs.key.lengths
        return of_keys if one else self._context(inputs.query, block, direction), of_keys

    def _context(self, side: Side, block: int, direction: Direction) -> _Context:
        hidden = side.needs("hidden", "topk_blocks", self.query.dtype)
        first, last = running_means(hidden, side.exists(), block)
        if direction is Direction.CAUSAL:
            return _Context(first, last)
        whole = last[:, -1:].expand_as(last)
        return _Context(whole, whole)


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """The mean hidden state up to the ``first`` and the ``last`` token of each block, [B, blocks, W]; of all tokens,
    where not causal; None: there is none."""

    first: Tensor | None
    last: Tensor | None


def _joined(blocks: Tensor, context: Tensor | None) -> Tensor:
    """[B, H, blocks, D] and what all heads share."""
    if context is None:
        return blocks
    return torch.cat([blocks, context[:, None].expand(-1, blocks.shape[1], -1, -1)], -1)
