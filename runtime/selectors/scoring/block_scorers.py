"""How much a block of queries wants a block of keys: by their means, or by a learned predictor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....patterns_dsl.syntax import Direction
from ..inputs import HEADS, HIDDEN, Inputs, Side
from ..layer import BUCKETS, LayerShape, diagonal, distance_buckets
from .pooling import (
    arrival,
    arrival_means,
    block_ends,
    block_means,
    block_sums,
    first_tokens,
    group_means,
    running_means,
)
from .turning import turned


def query_blocks(
    side: Side, what: str, reader: str, dtype: torch.dtype | None, block: int, direction: Direction, first: int = 0
) -> Tensor:
    """[B, ..., query blocks, D], of the blocks from ``first`` on: the mean of ``hidden`` or ``heads`` that stands for
    each; of what is known when its first token arrives, where they arrive one after the other."""
    if direction is Direction.CAUSAL or side.arriving:
        start = arrival(first, block)
        return arrival_means(side.needs(what, reader, dtype, start), side.exists(start), block, first)
    start = first * block
    return block_means(side.needs(what, reader, dtype, start), side.exists(start), block)


def key_blocks(side: Side, reader: str, dtype: torch.dtype | None, block: int) -> Tensor:
    """[B, H, key blocks, D]: the mean of each."""

    def means(first: int) -> Tensor:
        start = first * block
        return block_means(side.needs("heads", reader, dtype, start), side.exists(start), block)

    return side.made("means", block, means)


def own_blocks(side: Side, reader: str, dtype: torch.dtype | None, block: int, first: int = 0) -> Tensor:
    """[B, H, key blocks, D] of those from ``first`` on, as they are known when their first token arrives: that one."""
    start = first * block
    return first_tokens(side.needs("heads", reader, dtype, start), side.exists(start), block)


def replace_own(scores: Tensor, own: Tensor, first: int = 0) -> Tensor:
    """scores [..., a, n] of the rows from ``first`` on with ``own`` [..., a] on the diagonal: the block being written,
    known by its first token."""
    return torch.where(diagonal(scores, first), own[..., None], scores)


class MeanScorer(nn.Module):
    """<mean query, mean key> / sqrt(D), the queries of a group of heads together (Lu et al. 2025, section 2.2; Jiang et
    al. 2024, algorithm 2). Nothing is learned."""

    frozen = True
    reads = HEADS

    def forward(self, inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
        """[B, Hkv, query blocks, key blocks], of the blocks of queries from ``first`` on."""
        given = inputs.query.heads
        wide = None if given is None else torch.promote_types(given.dtype, torch.float32)
        keys = key_blocks(inputs.key, "topk_blocks", wide, block)
        queries = query_blocks(inputs.query, "heads", "topk_blocks", wide, block, direction, first)
        queries = group_means(queries, keys.shape[1]) * queries.shape[-1] ** -0.5
        scores: Tensor = queries @ keys.mT
        if direction is Direction.CAUSAL:
            own = (queries * own_blocks(inputs.key, "topk_blocks", wide, block, first)).sum(-1)
            scores = replace_own(scores, own, first)
        return scores


class BlockScorer(nn.Module):
    """<P_q [q ; g], P_k [k ; g]> / sqrt(r) + d, per key head: q the mean query of the block and of the group of heads,
    k the greatest, least and mean key of the block side by side (Gao et al. 2024, section 3.2), g the mean hidden state
    of the sequence up to the block, d a learned value for the distance between the two, by its magnitude.

    Where attention turns q and k by their places, both sides are turned so by the place of their block, but in a cross
    pattern. Then the scores are at first about those of mean queries and keys that are turned: what the dense layer
    looks at, rather than anything, is what is refined.

    Adding a constant to all scores of a head changes no choice among them, so there is none.
    """

    frozen = False
    frequencies: Tensor

    def __init__(self, shape: LayerShape, *, rank: int = 128, context: bool = True) -> None:
        super().__init__()
        self.context, more = context, shape.width if context else 0
        self.reads = HEADS | HIDDEN if context else HEADS
        groups, size = shape.key_heads, shape.head_dim
        rank = max(rank, size) if shape.frequencies else rank
        self.query = nn.Parameter(torch.empty(groups, size + more, rank))
        self.key = nn.Parameter(torch.empty(groups, 3 * size + more, rank))
        self.distance = nn.Parameter(torch.zeros(groups, BUCKETS))
        self.register_buffer("frequencies", torch.tensor(shape.frequencies), persistent=False)
        for weight in (self.query, self.key):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        if shape.frequencies:
            self._begin_with_means(size)

    @torch.no_grad()
    def _begin_with_means(self, size: int) -> None:
        rank = self.query.shape[-1]
        for weight, place, factor in ((self.query, 0, (rank / size) ** 0.5), (self.key, 2 * size, 1.0)):
            weight.mul_(0.1)[:, place : place + size] += factor * torch.eye(size, rank)

    def forward(self, inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
        """[B, Hkv, query blocks, key blocks], of the blocks of queries from ``first`` on."""
        causal, dtype = direction is Direction.CAUSAL, self.query.dtype
        of_queries, of_keys = self._contexts(inputs, block, direction)
        queries = query_blocks(inputs.query, "heads", "topk_blocks", dtype, block, direction, first)
        queries = _joined(group_means(queries, self.query.shape[0]), of_queries.first, first)
        projected = queries @ self.query * self.query.shape[-1] ** -0.5
        turns = direction is not Direction.CROSS and len(self.frequencies) > 0

        def made(known: int) -> Tensor:
            keys = self._keys(inputs.key, of_keys, block, known)
            return self._turned(keys, block, known) if turns else keys

        keys = inputs.key.made("keys", block, made)
        scores: Tensor = (self._turned(projected, block, first) if turns else projected) @ keys.mT
        if causal:  # as both stand at one place, neither need be turned
            own = own_blocks(inputs.key, "topk_blocks", dtype, block, first)
            own = _joined(own.repeat(1, 1, 1, 3), of_keys.first, first)  # of one token, all three are itself
            scores = replace_own(scores, (projected * (own @ self.key)).sum(-1), first)
        if direction is not Direction.CROSS:
            scores = scores + self.distance[:, distance_buckets(scores.shape[-1], scores.device, first)]
        return scores

    def _turned(self, blocks: Tensor, block: int, first: int) -> Tensor:
        places = torch.arange(first, first + blocks.shape[-2], device=blocks.device) * block
        return turned(blocks, places, self.frequencies)

    def _keys(self, side: Side, context: _Context, block: int, first: int) -> Tensor:
        """[B, Hkv, key blocks, rank], of those from ``first`` on."""
        start = first * block
        heads, exists = side.needs("heads", "topk_blocks", self.key.dtype, start), side.exists(start)
        summary = torch.cat([*block_ends(heads, exists, block), block_means(heads, exists, block)], -1)
        return _joined(summary, context.last, first) @ self.key

    def _contexts(self, inputs: Inputs, block: int, direction: Direction) -> tuple[_Context, _Context]:
        """Of the queries' side and of the keys', which are one in self attention."""
        if not self.context:
            return _Context(None, None), _Context(None, None)
        of_keys = self._context(inputs.key, block, direction)
        one = inputs.query.hidden is inputs.key.hidden and inputs.query.lengths is inputs.key.lengths
        return of_keys if one else self._context(inputs.query, block, direction), of_keys

    def _context(self, side: Side, block: int, direction: Direction) -> _Context:
        def sums(known: int) -> Tensor:
            start = known * block
            hidden = side.needs("hidden", "topk_blocks", self.query.dtype, start)
            return block_sums(hidden, side.exists(start), block)

        first, last = running_means(side.made("sums", block, sums), side.counts(), block)
        if direction is Direction.CAUSAL or side.arriving:
            return _Context(first, last)
        whole = last[:, -1:].expand_as(last)
        return _Context(whole, whole)


@dataclass(frozen=True, slots=True, eq=False)
class _Context:
    """The mean hidden state up to the ``first`` and the ``last`` token of each block, [B, blocks, W]; of all tokens,
    where they are all there from the start; None: there is none."""

    first: Tensor | None
    last: Tensor | None


def _joined(blocks: Tensor, context: Tensor | None, first: int) -> Tensor:
    """[B, H, blocks, D], those from ``first`` on, and what all heads share."""
    if context is None:
        return blocks
    return torch.cat([blocks, context[:, None, first:].expand(-1, blocks.shape[1], -1, -1)], -1)
