"""The time of the generated kernels on a GPU, by arithmetic: nobody has to have the GPU, and nothing was measured.

A kernel takes as long as its products at the rate that such kernels reach, or as its memory traffic, whichever is
longer, and is launched. A pair of a small tile takes longer, by what the passes take for its price. Peak rates and
bandwidths are those of the data sheets; the shares of the peak are what is published for attention kernels on Hopper,
for want of better used for every card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..passes.program import TILE
from .cost import Cost
from .prediction import Choice, Prediction, Way


@dataclass(frozen=True, slots=True)
class Accelerator:
    """``flops`` per second of dense 16-bit matrix products, ``bandwidth`` of its memory in bytes per second."""

    name: str
    flops: float
    bandwidth: float


ACCELERATORS: Mapping[str, Accelerator] = MappingProxyType(
    {
        "a100": Accelerator("NVIDIA A100 SXM 80GB", 312e12, 2.04e12),
        "h100": Accelerator("NVIDIA H100 SXM", 989e12, 3.35e12),
        "h200": Accelerator("NVIDIA H200 SXM", 989e12, 4.8e12),
        "b200": Accelerator("NVIDIA B200", 2250e12, 8.0e12),
        "mi300x": Accelerator("AMD Instinct MI300X", 1307e12, 5.3e12),
    }
)

BASIS = "by arithmetic from the data sheet; not measured"
LAUNCH = 5e-6
OURS, DENSE = (0.45, 0.33), (0.66, 0.52)
"""Shares of the peak, forward and backward: of generated Triton kernels, and of the best dense ones."""

MASKED = 1.2
"""What a tile with a mask takes, of one without."""

PRODUCTS = 2
"""Matrix products per tile forward. Backward dense kernels have 5; ours have 3 for dq, and 4 for dk and dv in kernels
of their own."""


def roofline(cost: Cost, accelerator: Accelerator, *, batch: int, heads: int) -> Prediction:
    """Of a call with as many key heads as query heads, in 2-byte elements."""
    units = batch * heads
    forward = sum(_kernel(cost, number, accelerator, units, PRODUCTS, OURS[0]) for number in range(cost.kernels))
    backward = sum(
        _kernel(cost, number, accelerator, units, products, OURS[1])
        for number in range(cost.kernels)
        for products in (3, 4)
    )
    return Prediction(
        accelerator.name,
        BASIS,
        "bfloat16",
        cost.length,
        batch,
        heads,
        cost.head_dim,
        Choice((Way("triton", forward),), _dense(cost, accelerator, units, PRODUCTS, DENSE[0])),
        Choice((Way("triton", backward),), _dense(cost, accelerator, units, 5, DENSE[1])),
    )


def _kernel(cost: Cost, number: int, accelerator: Accelerator, units: int, products: int, share: float) -> float:
    mine = [each for each in cost.shares if each.kernel == number]
    tiles = sum(each.full_tiles + MASKED * each.masked_tiles + each.diagonals * cost.tile.diagonal for each in mine)
    return _seconds(cost, tiles * cost.tile.price * TILE.pairs, accelerator, units, products, share)


def _dense(cost: Cost, accelerator: Accelerator, units: int, products: int, share: float) -> float:
    return _seconds(cost, cost.dense_tiles * cost.tile.pairs, accelerator, units, products, share)


def _seconds(cost: Cost, pairs: float, accelerator: Accelerator, units: int, products: int, share: float) -> float:
    """Of one kernel. Every product reads or writes one tensor [n, head_dim] more than there are products, once: key
    tiles that several query tiles read are taken to come from the cache."""
    flops = 2 * products * cost.head_dim * pairs * units
    moved = 2 * (products + 2) * cost.length * cost.head_dim * units
    return LAUNCH + max(flops / (accelerator.flops * share), moved / accelerator.bandwidth)
