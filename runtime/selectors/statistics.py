"""What a selection looks like from afar: how much is chosen, how evenly, and whether it has collapsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...patterns_dsl.syntax import Direction
from .selection import LEVELS, BlockSelection, KeySelection, LevelSelection, TokenSelection


@dataclass(frozen=True, slots=True)
class SelectionStatistics:
    """``density`` of each group, the mean over the batch. ``evenness`` in [0, 1]: the entropy of which keys are chosen,
    of the greatest that is possible; 0: the same key (or block, or level) always; None where nothing is chosen.
    ``rows``, ``columns``: the share of tokens that are one. ``levels``: the share of block pairs at each."""

    density: tuple[float, ...]
    evenness: float | None
    rows: float | None = None
    columns: float | None = None
    levels: Mapping[str, float] = field(default_factory=dict)


def entropy(counts: Tensor) -> float:
    """Of the distribution proportional to counts [n] >= 0, in nats; NaN where all are 0."""
    p = counts.double() / counts.double().sum()
    return float(-torch.xlogy(p, p).sum())


def describe(selection: TokenSelection | BlockSelection | KeySelection | LevelSelection) -> SelectionStatistics:
    density = tuple(selection.density.detach().double().mean(0).tolist())
    match selection:
        case TokenSelection():
            chosen = (selection.until > 0).double()
            rows = None if selection.rows is None else float(selection.rows.double().mean())
            evenness = _evenness(chosen.sum((0, 1)))
            return SelectionStatistics(density, evenness, rows, float(chosen.mean()) if chosen.numel() else 0.0)
        case BlockSelection():
            return SelectionStatistics(density, _evenness(_uses(selection.blocks, selection.key_blocks)))
        case KeySelection():
            return SelectionStatistics(density, _evenness(_uses(selection.keys, selection.key_count)))
        case LevelSelection():
            counts = _level_counts(selection)
            total = max(1, int(counts.sum()))
            shares = {level: int(count) / total for level, count in zip(LEVELS, counts, strict=True)}
            return SelectionStatistics(density, _evenness(counts), levels=shares)


def _evenness(counts: Tensor) -> float | None:
    if len(counts) < 2 or not bool(counts.sum() > 0):
        return None
    return entropy(counts) / math.log(len(counts))


def _uses(places: Tensor, count: int) -> Tensor:
    """How often each of ``count`` places occurs, -1 left out."""
    return torch.bincount(places[places >= 0], minlength=count)


def _level_counts(selection: LevelSelection) -> Tensor:
    """int64 [4], over the pairs of blocks that the direction allows."""
    level = selection.level
    if selection.direction is Direction.CAUSAL:
        level = level[..., torch.ones_like(level[0, 0], dtype=torch.bool).tril()]
    return torch.bincount(level.flatten().long(), minlength=len(LEVELS))
