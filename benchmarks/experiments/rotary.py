"""Rotary positions (Su et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor


def rotated(x: Tensor) -> Tensor:
    """x [..., N, D]: dimensions d and d + D/2 turned together, by position * 10000^(-2d/D)."""
    n, dim = x.shape[-2:]
    rates = 10000.0 ** (-torch.arange(0, dim, 2, device=x.device) / dim)
    angles = torch.arange(n, device=x.device)[:, None] * rates
    cos, sin = angles.cos(), angles.sin()
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
