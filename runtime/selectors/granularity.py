"""``granularity``: a level of detail for each pair of blocks, decided from pooled inputs before the softmax.

Where the seed of this idea keeps the strongest weights of the dense map, and multiplies after the softmax, this decides
without the dense map, and levels share one softmax (as in Zeng et al. 2022, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...patterns_dsl.builtin.selectors import MEDIUM_SIZE, level_cost
from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .gates import check_budget, log_gate, one_of
from .inputs import HEADS, Inputs
from .layer import BUCKETS, LayerShape, again, diagonal, distance_buckets, pair_counts
from .scoring.block_scorers import key_blocks, own_blocks, query_blocks, replace_own
from .scoring.pooling import group_means
from .selection import FINE, LEVELS, SKIP, LevelSelection

LARGEST_TABLE = 1 << 24
"""Numbers of the hidden layer that are held at once, for each batch element."""


class GranularityNetwork(nn.Module):
    """W GELU(P_q q + P_k k + e_d): q and k the mean query and key of a pair of blocks, d their distance by magnitude
    (blocks of a cross pattern have none). One for each key head, and the query heads that share it."""

    frozen = False
    reads = HEADS

    def __init__(self, shape: LayerShape, levels: int, *, rank: int = 32) -> None:
        super().__init__()
        groups, width = shape.key_heads, shape.head_dim
        self.query = nn.Parameter(torch.randn(groups, width, rank) * width**-0.5)
        self.key = nn.Parameter(torch.randn(groups, width, rank) * width**-0.5)
        self.distance = nn.Parameter(torch.zeros(groups, BUCKETS, rank))
        self.level = nn.Parameter(torch.randn(groups, rank, levels) * rank**-0.5)

    def forward(self, inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
        """[B, Hkv, query blocks, key blocks, levels], of the blocks of queries from ``first`` on."""
        means = _query_means(inputs, self.query.dtype, block, direction, first, self.query.shape[0])
        queries = means @ self.query
        keys = key_blocks(inputs.key, "granularity", self.query.dtype, block) @ self.key
        own = None
        if direction is Direction.CAUSAL:
            own = own_blocks(inputs.key, "granularity", self.query.dtype, block, first) @ self.key
        at_once = max(1, LARGEST_TABLE // max(1, keys.shape[1] * keys.shape[2] * keys.shape[3]))
        found: list[Tensor] = []
        for row in range(0, max(1, queries.shape[2]), at_once):
            part = queries[:, :, row : row + at_once]
            own_part = None if own is None else own[:, :, row : row + at_once]
            # The hidden layer has every pair of blocks by its width: made again in backward rather than kept.
            found.append(again(self._rows, part, keys, own_part, first + row, direction))
        return torch.cat(found, 2)

    def _rows(self, queries: Tensor, keys: Tensor, own: Tensor | None, first: int, direction: Direction) -> Tensor:
        pairs = keys[:, :, None].expand(-1, -1, queries.shape[2], -1, -1)
        if own is not None:
            pairs = torch.where(diagonal(pairs[..., 0], first)[..., None], own[:, :, :, None], pairs)
        hidden = queries[:, :, :, None] + pairs
        if direction is not Direction.CROSS:
            last = first + queries.shape[2]
            hidden = hidden + self.distance[:, distance_buckets(keys.shape[2], keys.device, first, last)]
        return torch.einsum("bgxyr,grl->bgxyl", F.gelu(hidden), self.level)


class BilinearGranularity(nn.Module):
    """<P_q q, P_k k> / sqrt(r) for each level: fewer numbers for each pair of blocks than the network."""

    frozen = False
    reads = HEADS

    def __init__(self, shape: LayerShape, levels: int, *, rank: int = 32) -> None:
        super().__init__()
        width = shape.head_dim
        self.query = nn.Parameter(torch.randn(levels, shape.key_heads, width, rank) * width**-0.5)
        self.key = nn.Parameter(torch.randn(levels, shape.key_heads, width, rank) * width**-0.5)

    def forward(self, inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
        """[B, Hkv, query blocks, key blocks, levels], of the blocks of queries from ``first`` on."""
        dtype = self.query.dtype
        means = _query_means(inputs, dtype, block, direction, first, self.query.shape[1])
        queries = means[:, None] @ self.query * self.query.shape[-1] ** -0.5
        scores: Tensor = queries @ (key_blocks(inputs.key, "granularity", dtype, block)[:, None] @ self.key).mT
        if direction is Direction.CAUSAL:
            own = own_blocks(inputs.key, "granularity", dtype, block, first)[:, None] @ self.key
            scores = replace_own(scores, (queries * own).sum(-1), first)
        return scores.movedim(1, -1)


def _query_means(
    inputs: Inputs, dtype: torch.dtype, block: int, direction: Direction, first: int, groups: int
) -> Tensor:
    return group_means(query_blocks(inputs.query, "heads", "granularity", dtype, block, direction, first), groups)


class Granularity(nn.Module):
    """``levels`` that may be chosen, of skip, coarse, medium, fine; ``budget`` is the cost that training aims at, as a
    share of dense attention. A block of queries always sees its own block finely, but in a cross pattern has none.

    In training the choice is drawn with Gumbel noise at ``temperature``, and backwards a softmax (Jang et al. 2017);
    evaluation takes the greatest. ``temperature`` and ``noise`` may be set by a schedule. In a causal pattern the
    choice is made when the first token of the block arrives.
    """

    def __init__(
        self,
        direction: Direction,
        scorer: nn.Module,
        *,
        block: int = 32,
        levels: tuple[str, ...] = LEVELS,
        budget: float = 0.25,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        check_levels(levels, block)
        check_budget(budget)
        self.direction, self.scorer, self.block, self.budget = direction, scorer, block, budget
        self.levels, self.temperature, self.noise = tuple(levels), temperature, 1.0

    def forward(self, inputs: Inputs, generator: torch.Generator | None = None, first: int = 0) -> LevelSelection:
        """Of the queries from ``first`` on, a multiple of the block."""
        inputs.fit(self.direction, "granularity")
        row = first // self.block
        logits = self.scorer(inputs, self.block, self.direction, row)
        noise = self.noise if self.training and not self.scorer.frozen else 0.0
        gates = one_of(logits, temperature=self.temperature, noise=noise, generator=generator)
        sizes = pair_counts(inputs, self.block, self.direction, row)
        present = (sizes > 0).expand(gates.shape[:-1])
        own = torch.zeros_like(present)
        if self.direction is not Direction.CROSS:
            own = present & diagonal(present, row)
        place = gates.detach().argmax(-1, keepdim=True)
        level = self._numbers(place[..., 0]).masked_fill(own, FINE).masked_fill(~present, SKIP)
        gate = gates.gather(-1, place)[..., 0].masked_fill(own, 1.0)
        cost = self._cost(gates).masked_fill(own, 1.0)
        spent = (cost * sizes).sum((-1, -2)) / sizes.sum((-1, -2)).clamp_min(1)
        level = level.to(torch.uint8)
        return LevelSelection(self.direction, self.block, level, log_gate(level != SKIP, gate), spent, first)

    # Level by level, as numbers: a tensor of them would be copied to the device at every call, and waited for.

    def _numbers(self, place: Tensor) -> Tensor:
        """Of places among the levels of this layer, those among all LEVELS."""
        number = torch.zeros_like(place)
        for own, level in enumerate(self.levels):
            number = number.masked_fill(place == own, LEVELS.index(level))
        return number

    def _cost(self, gates: Tensor) -> Tensor:
        """gates [..., levels] -> [...]"""
        cost = torch.zeros_like(gates[..., 0])
        for gate, price in zip(gates.unbind(-1), costs(self.levels, self.block), strict=True):
            cost = cost + gate * price
        return cost


def costs(levels: tuple[str, ...], block: int) -> list[float]:
    """Of each level, as a share of what it costs to attend to the block finely: the keys that are read."""
    return [level_cost(level, block) for level in levels]


def check_levels(levels: tuple[str, ...], block: int) -> None:
    """Raises ArgumentError for unknown levels, none but skip, and blocks that do not divide into summaries."""
    if strange := set(levels) - set(LEVELS):
        raise ArgumentError("levels", ", ".join(sorted(strange)), f"choose among {', '.join(LEVELS)}")
    if not set(levels) - {"skip"} or len(set(levels)) != len(levels):
        raise ArgumentError("levels", str(list(levels)), "name each level once, and one that does not skip")
    if "medium" in levels and block % MEDIUM_SIZE:
        remedy = f"choose a block that is a multiple of {MEDIUM_SIZE}, or leave `medium` out of the levels"
        raise ArgumentError("block", f"{block}, with the level medium", remedy)
