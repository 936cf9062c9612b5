"""What levels of detail were chosen, over many sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from patternc.runtime.selectors.selection import LEVELS, LevelSelection


def level_statistics(selections: Sequence[LevelSelection]) -> dict[str, Any]:
    """Shares of levels among all pairs of blocks, their entropy in bits, and the mean cost, in dense attention. Every
    pair of blocks counts, so that there must be no padding."""
    counts = torch.zeros(len(LEVELS))
    for selection in selections:
        counts += torch.bincount(selection.level.flatten().long(), minlength=len(LEVELS))
    shares = counts / counts.sum()
    return {
        "levels": dict(zip(LEVELS, shares.tolist(), strict=True)),
        "entropy_bits": -torch.xlogy(shares, shares).sum().item() / math.log(2),
        "cost": torch.stack([one.density.mean() for one in selections]).mean().item(),
    }
