"""The time of the generated kernels on a GPU, by arithmetic: nobody has to have the GPU.

A kernel takes as long as its products at the rate that such kernels reach, and as its memory traffic, which is hardly
hidden behind them where blocks are short, and is launched. A pair of a small tile takes longer, by what the passes take
for its price. Peak rates and bandwidths are those of the data sheets; the shares of the peak were measured on one H200
(benchmarks/kernel_time.py), and are used for every card.
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
    """``flops`` per second of dense 16-bit matrix products, ``bandwidth`` of its memory in bytes per second.
    ``dense``: whether ``auto`` calls torch's dense kernel there."""

    name: str
    flops: float
    bandwidth: float
    dense: bool = True


ACCELERATORS: Mapping[str, Accelerator] = MappingProxyType(
    {
        "a100": Accelerator("NVIDIA A100 SXM 80GB", 312e12, 2.04e12),
        "h100": Accelerator("NVIDIA H100 SXM", 989e12, 3.35e12),
        "h200": Accelerator("NVIDIA H200 SXM", 989e12, 4.8e12),
        "b200": Accelerator("NVIDIA B200", 2250e12, 8.0e12),
        "mi300x": Accelerator("AMD Instinct MI300X", 1307e12, 5.3e12, dense=False),
    }
)

BASIS = "by arithmetic from the data sheet; not measured"
LAUNCH = 5e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """``products``: matrix products per tile. ``share``: of the peak that they reach."""

    products: int
    share: float


FORWARD, QUERY, KEY = Rate(2, 0.53), Rate(3, 0.68), Rate(4, 0.53)
"""Of the generated kernels: forward; backward those of dq, and those of dk and dv. These hold two sums in registers, so
that their blocks are small."""
DENSE_FORWARD, DENSE_BACKWARD = Rate(2, 0.62), Rate(5, 0.54)
"""Of torch's dense kernels."""

MASKED = 1.2
"""What a tile with a mask takes, of one without."""

DELTA_TENSORS = 2
"""Read before the backward kernels: out and its gradient."""


def roofline(cost: Cost, accelerator: Accelerator, *, batch: int, heads: int, whole: bool = False) -> Prediction:
    """Of a call with as many key heads as query heads, in 2-byte elements. ``whole``: the pattern is everything at this
    length, so that dense attention computes it too; its kernels reach a larger share of the peak, with fewer products
    and launches, and ``auto`` takes them without a further question."""
    units = batch * heads
    forward = sum(_kernel(cost, number, accelerator, units, FORWARD) for number in range(cost.kernels))
    backward = sum(
        _kernel(cost, number, accelerator, units, rate) for number in range(cost.kernels) for rate in (QUERY, KEY)
    )
    backward += LAUNCH + _traffic(cost, accelerator, units, DELTA_TENSORS)
    dense = [_dense(cost, accelerator, units, rate) for rate in (DENSE_FORWARD, DENSE_BACKWARD)]
    either = whole and accelerator.dense
    choices = [
        Choice((Way("dense", other), Way("triton", own)) if either else (Way("triton", own),), other)
        for own, other in zip((forward, backward), dense, strict=True)
    ]
    return Prediction(
        accelerator.name,
        BASIS,
        "bfloat16",
        cost.length,
        batch,
        heads,
        cost.head_dim,
        *choices,
    )


def _kernel(cost: Cost, number: int, accelerator: Accelerator, units: int, rate: Rate) -> float:
    mine = [each for each in cost.shares if each.kernel == number]
    pairs = TILE.pairs * sum(
        each.tile.price * (each.full_tiles + MASKED * each.masked_tiles + each.diagonals * each.tile.diagonal)
        for each in mine
    )
    return _seconds(cost, pairs, accelerator, units, rate)


def _dense(cost: Cost, accelerator: Accelerator, units: int, rate: Rate) -> float:
    return _seconds(cost, cost.dense_tiles * cost.tile.pairs, accelerator, units, rate)


def _seconds(cost: Cost, pairs: float, accelerator: Accelerator, units: int, rate: Rate) -> float:
    """Of one kernel. It reads or writes two tensors more than it has products, once: key tiles that several query
    tiles read are taken to come from the cache."""
    flops = 2 * rate.products * cost.head_dim * pairs * units
    return LAUNCH + flops / (accelerator.flops * rate.share) + _traffic(cost, accelerator, units, rate.products + 2)


def _traffic(cost: Cost, accelerator: Accelerator, units: int, tensors: int) -> float:
    """Of tensors [n, head_dim] in 2-byte elements."""
    return 2 * tensors * cost.length * cost.head_dim * units / accelerator.bandwidth
