"""``random``: frozen controls. Scores that know nothing of the input, in the place of any scorer.

What a learned selection is worth is its distance from these at the same density: gates trained end to end have barely
beaten them (Aquino-Michaels 2026). Each score is a hash of a seed and of the places that it is about, so that a control
is the same on every machine and for every length, and chooses the same step by step.
"""

from __future__ import annotations

import math
from itertools import accumulate

import torch
from torch import Tensor, nn

from ....patterns_dsl.syntax import Direction
from ...hashed import mixed, seeded, shifted
from ..granularity import costs
from ..inputs import NOTHING, Inputs, Side


def uniform(seed: int, *places: Tensor) -> Tensor:
    """float64 in (0, 1), a hash of the seed and of places (ints, which broadcast): SplitMix64, one round for each."""
    state = seeded(seed, places[0].device)
    for place in places:
        state = mixed(state ^ place)
    return (shifted(state, 11).double() + 0.5) * 2.0**-53


class RandomImportance(nn.Module):
    """For ``importance``: each token is important with probability ``budget``, as a row and as a column."""

    frozen = True
    reads = NOTHING

    def __init__(self, seed: int, budget: float, *, columns: bool = True, rows: bool) -> None:
        super().__init__()
        # A pair is in a column or in a row: both together are to have the budget.
        self.seed, self.share = seed, 1 - math.sqrt(1 - budget) if columns and rows else budget
        self.columns, self.rows = columns, rows

    def forward(self, inputs: Inputs) -> tuple[Tensor | None, Tensor | None]:
        return (
            self._logits(inputs.key) if self.columns else None,
            self._logits(inputs.query, _ROW) if self.rows else None,
        )

    def _logits(self, side: Side, *places: int) -> Tensor:
        batch, n, device = side.shape
        given = [torch.full((), place, device=device) for place in places]
        return (self.share - uniform(self.seed, *given, torch.arange(n, device=device))).expand(batch, 1, n).float()


_ROW = 1
"""What is hashed before the place of a row, so that rows are drawn apart from columns of this seed and of the next."""


class RandomTokens(nn.Module):
    """For ``topk``: a score for each token and group."""

    frozen = True
    reads = NOTHING

    def __init__(self, seed: int, groups: int) -> None:
        super().__init__()
        self.seed, self.groups = seed, groups

    def forward(self, inputs: Inputs) -> Tensor:
        batch, n, device = inputs.key.shape
        group = torch.arange(self.groups, device=device)[:, None]
        return uniform(self.seed, group, torch.arange(n, device=device)).expand(batch, -1, -1).float()


class RandomBlocks(nn.Module):
    """For ``topk_blocks``: a score for each group and pair of blocks."""

    frozen = True
    reads = NOTHING

    def __init__(self, seed: int, groups: int) -> None:
        super().__init__()
        self.seed, self.groups = seed, groups

    def forward(self, inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
        return _pairs(self.seed, self.groups, inputs, block, first).float()


class RandomKeys(nn.Module):
    """For ``topk_keys``: a score for each tile and key."""

    frozen = True
    reads = NOTHING
    heads = 1

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def prepare(self, inputs: Inputs, tile: int, direction: Direction, first: int = 0) -> tuple[Inputs, int]:
        return inputs, first

    def scores(self, prepared: tuple[Inputs, int], start: int, stop: int, key: int = 0) -> Tensor:
        inputs, first = prepared
        batch, n, device = inputs.key.shape
        tiles = torch.arange(first + start, first + stop, device=device)[:, None]
        return uniform(self.seed, tiles, torch.arange(key, n, device=device)).expand(batch, 1, -1, -1).float()


class RandomLevels(nn.Module):
    """For ``granularity``: levels at the rates of greatest entropy whose mean cost is the budget."""

    frozen = True
    reads = NOTHING

    def __init__(self, seed: int, groups: int, levels: tuple[str, ...], budget: float) -> None:
        super().__init__()
        self.seed, self.groups, self.levels, self.budget = seed, groups, levels, budget

    def forward(self, inputs: Inputs, block: int, direction: Direction, first: int = 0) -> Tensor:
        drawn = _pairs(self.seed, self.groups, inputs, block, first)
        *borders, _ = accumulate(level_rates(costs(self.levels, block), self.budget))
        place = torch.zeros_like(drawn, dtype=torch.int64)
        for border in borders:  # as numbers: a tensor of them would be copied to the device, and waited for
            place += drawn > border
        return nn.functional.one_hot(place, len(self.levels)).float()


def level_rates(prices: list[float], budget: float) -> list[float]:
    """Probabilities with mean price ``budget``, proportional to e^(-t price); within the cheapest and the dearest."""
    if len(set(prices)) == 1:
        return [1 / len(prices)] * len(prices)
    low, high = -1e4, 1e4
    for _ in range(200):
        t = (low + high) / 2
        top = max(-t * price for price in prices)
        weights = [math.exp(-t * price - top) for price in prices]
        mean = sum(w * price for w, price in zip(weights, prices, strict=True)) / sum(weights)
        low, high = (t, high) if mean > budget else (low, t)
    return [weight / sum(weights) for weight in weights]


def _pairs(seed: int, groups: int, inputs: Inputs, block: int, first: int) -> Tensor:
    """float64 [B, G, query blocks, key blocks], of the blocks of queries from ``first`` on."""
    (batch, nq, device), (_, nk, _) = inputs.query.shape, inputs.key.shape
    group = torch.arange(groups, device=device)[:, None, None]
    a, b = (torch.arange(-(-n // block), device=device) for n in (nq, nk))
    return uniform(seed, group, a[first:, None], b).expand(batch, -1, -1, -1)
