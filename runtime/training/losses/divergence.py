"""KL divergence over what a selector is free to choose."""

from __future__ import annotations

import torch
from torch import Tensor


def divergence(target: Tensor, scores: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """(sum over rows of KL(target || softmax(scores)), how many rows), both over what is free, where there are two such
    and the target has mass on them. target, scores [..., n]; free bool, broadcasts to them."""
    free = free.expand(scores.shape)
    target = target.masked_fill(~free, 0.0)
    mass = target.sum(-1, keepdim=True)
    counts = (mass[..., 0] > 0) & (free.sum(-1) > 1)
    target = target / mass.masked_fill(mass == 0, 1.0)
    log_p = torch.log_softmax(scores.to(target.dtype).masked_fill(~free, -torch.inf), -1).masked_fill(~free, 0.0)
    rows = (torch.xlogy(target, target) - target * log_p).sum(-1)
    return rows.masked_fill(~counts, 0.0).sum(), counts.sum()
