"""The hash of ``compiler/seeded.py`` in torch: rounds of SplitMix64, on any device, in its signed 64-bit integers."""

from __future__ import annotations

import torch
from torch import Tensor


def seeded(seed: int, device: torch.device) -> Tensor:
    """int64 []: one round of the seed. Filled in on the device: nothing is copied to it, and nothing waits."""
    return mixed(torch.full((), _signed(seed), device=device))


def mixed(x: Tensor) -> Tensor:
    """One round; int64 as x. Sums and products wrap around, as unsigned ones do."""
    z = x + _signed(0x9E3779B97F4A7C15)
    z = (z ^ shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ shifted(z, 31)


def shifted(x: Tensor, places: int) -> Tensor:
    """To the right, with zeros."""
    return (x >> places) & ((1 << (64 - places)) - 1)


def _signed(x: int) -> int:
    """The 64 bits of a number, as torch has them."""
    x %= 1 << 64
    return x - (1 << 64) if x >> 63 else x
