"""The sizes of the layer that a selector is made for, and what every selector has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .inputs import Inputs
from .scoring.pooling import block_counts

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, slots=True)
class LayerShape:
    """``width`` of the hidden states; heads of queries and of keys; ``head_dim`` of each. ``frequencies``: by what
    angle attention turns the pairs (m, m + R / 2) of q and k from place to place, R / 2 of them; none: it does not, or
    what selectors read of q and k is turned already."""

    width: int
    query_heads: int
    key_heads: int
    head_dim: int
    frequencies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if min(self.width, self.query_heads, self.key_heads, self.head_dim) < 1:
            raise ArgumentError("layer", str(self), "every size is at least 1")
        if self.query_heads % self.key_heads:
            found = f"{self.query_heads} query heads and {self.key_heads} key heads"
            raise ArgumentError("layer", found, "the query heads must be a multiple of the key heads")

    def groups(self, per: str) -> int:
        """How many choose separately: per ``head``, per ``group`` of query heads with one key head, per ``layer``."""
        groups = {"head": self.query_heads, "group": self.key_heads, "layer": 1}
        if per not in groups:
            raise ArgumentError("per", repr(per), f"choose one of {', '.join(groups)}")
        return groups[per]


def pair_counts(inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
    """int64 [B, 1, query blocks, key blocks]: the pairs of tokens of two blocks that the direction allows, for the
    blocks of queries from ``first`` on."""
    queries, keys = (
        block_counts(side.counts(), -(-side.shape[1] // block), block) for side in (inputs.query, inputs.key)
    )
    queries = queries[:, first:]
    pairs = queries[:, :, None] * keys[:, None, :]
    if direction is Direction.CAUSAL:
        own = (queries * (queries + 1) // 2)[:, :, None]
        pairs = torch.where(diagonal(pairs, first), own, pairs).tril(first)
    return pairs[:, None]


def diagonal(table: Tensor, first: int = 0) -> Tensor:
    """bool [a, b], as the last dimensions of the table: where row r stands for ``first + r``, its own column."""
    rows, columns = table.shape[-2:]
    place = torch.arange(columns, device=table.device)
    return place == torch.arange(first, first + rows, device=table.device)[:, None]


def allowed_pairs(inputs: Inputs, direction: Direction, first: int = 0) -> Tensor:
    """int64 [B]: the pairs that the direction allows to the queries from ``first`` on."""
    queries, keys = inputs.query.counts(), inputs.key.counts()
    before = queries.clamp(max=first)
    if direction is Direction.CAUSAL:
        return queries * (queries + 1) // 2 - before * (before + 1) // 2
    return (queries - before) * keys


def distance_buckets(blocks: int, device: torch.device, first: int = 0, last: int | None = None) -> Tensor:
    """int64 [blocks, blocks]: 0, then 1 for distances 1..2, 2 for 3..6, 3 for 7..14 and so on; the rows ``first`` to
    ``last`` - 1 of it."""
    place = torch.arange(blocks, device=device)
    distance = (place[first:last, None] - place).abs()
    bounds = 2 ** torch.arange(1, BUCKETS, device=device) - 1
    return torch.bucketize(distance, bounds, right=True)


BUCKETS = 24
"""Distances up to 2^24 blocks are told apart, by their magnitude."""


def again(part: Callable[..., FoundT], *arguments: Any) -> FoundT:
    """part(*arguments), made again in backward rather than kept."""
    if not torch.is_grad_enabled():
        return part(*arguments)
    found: FoundT = checkpoint(part, *arguments, use_reentrant=False)
    return found


def slots(chosen: Tensor, count: int) -> Tensor:
    """int64 [..., count]: the places that are chosen in [..., n], rising, with -1 behind the last."""
    order = (~chosen).to(torch.uint8).sort(dim=-1, stable=True).indices[..., :count]
    return order.where(chosen.gather(-1, order), -1)
