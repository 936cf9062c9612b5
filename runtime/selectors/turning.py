"""Turning vectors by their places, as rotary embedding does (Su et al. 2021): how well two fit depends on how far apart
they stand."""

from __future__ import annotations

import torch
from torch import Tensor


def turned(x: Tensor, places: Tensor, frequencies: Tensor) -> Tensor:
    """x [..., n, d] with the pairs (m, m + R / 2) of its first R numbers turned by places [n] times frequencies
    [R / 2], and the rest as it is."""
    half = len(frequencies)
    angles = (places[:, None] * frequencies).to(x.dtype)
    cos, sin = angles.cos(), angles.sin()
    one, other = x[..., :half], x[..., half : 2 * half]
    return torch.cat([one * cos - other * sin, other * cos + one * sin, x[..., 2 * half :]], -1)
