"""Holding the density to a budget: a penalty on what was realised, and schedules for its weight and temperatures.

The densities are those of selections, made once in a step and handed on: nothing is noted on the side in a forward
pass, which gradient checkpointing runs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import ArgumentError

Schedule = Callable[[int], float]
"""From the number of steps taken to a value."""


def density_penalty(
    densities: Sequence[Tensor], target: float, *, shared: bool = True, two_sided: bool = False
) -> Tensor:
    """max(0, density - target), a scalar: 0 once the budget is met (Wang et al. 2022, equation 10).

    densities: [B, G] of each layer. ``shared``: the layers have one budget, so that one may spend what another saves;
    otherwise each has its own, and the penalty is the mean over layers. ``two_sided``: abs(density - target), for a
    loss that does not open gates by itself: what falls below the budget, or was drawn below it, would stay there.
    """
    if not 0 <= target <= 1:
        raise ArgumentError("target", f"{target}", "a density lies between 0 and 1")
    if not densities:
        raise ArgumentError("densities", "no layer", "give the density of each layer's selection")
    layers = torch.stack([density.double().mean() for density in densities])
    above = layers.mean() - target if shared else layers - target
    return (above.abs() if two_sided else above.clamp_min(0.0)).mean()


def constant(value: float) -> Schedule:
    return lambda step: value


def ramp(start: float, end: float, steps: int) -> Schedule:
    """Linear from ``start`` to ``end`` over so many steps, then flat."""
    if steps < 1:
        raise ArgumentError("steps", f"{steps}", "a ramp takes at least one step")
    return lambda step: start + (end - start) * min(max(step, 0), steps) / steps
