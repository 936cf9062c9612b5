"""Turning vectors by their places, as rotary embedding does (Su et al. 2021): how well two fit depends on how far apart
they stand."""

from __future__ import annotations

import torch
from torch import Tensor


def turned(x: Tensor, places: Tensor, frequencies: Tensor) -> Tensor:
    """x [..., n, d] with the pairs (m, m + R / 2) of its first R numbers turned by places [n] times frequencies
    [R / 2], and the rest as it is."""
    half = len(frequencies)
    # A place in the thousands is rounded away in 16 bits.
    angles = places[:, None] * frequencies.to(torch.promote_types(frequencies.dtype, torch.float32))
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, other = x[..., :half], x[..., half : 2 * half]
    return torch.cat([one * cos - other * sin, other * cos + one * sin, x[..., 2 * half :]], -1)
