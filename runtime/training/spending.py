"""What a layer's selections read, with a gradient where their number is learned: what the hinge of a density holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import ArgumentError
from ..learned.attention import LearnedAttention
from ..selectors.budget import density_penalty
from ..selectors.granularity import Granularity
from ..selectors.importance import Importance
from ..selectors.selection import Selection, SummarySelection, TermGate
from . import measure
from .dense_maps import DenseAttention
from .distill import learns
from .losses.gates import GateEffect, gate_density
from .recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Spending:
    """Of one layer: ``whole``, all that is read, None where no density is asked for it; ``parts``: of each selection
    with a budget of its own, and that budget. All scalars."""

    whole: Tensor | None
    parts: tuple[tuple[str, Tensor, float], ...]


def budgeted(layer: LearnedAttention) -> dict[str, Importance | Granularity]:
    """The selectors that are free in number and learn."""
    named = zip(layer.learned.selector_names, layer.learned.selectors.values(), strict=True)
    return {name: each for name, each in named if isinstance(each, Importance | Granularity) and learns(each)}


def check_density(layer: LearnedAttention) -> None:
    """Raises ArgumentError where no loss could change what the layer reads."""
    if budgeted(layer) or any(gate.logits.requires_grad for gate in _gates(layer)):
        return
    kinds = ", ".join(sorted({type(each).__name__ for each in layer.learned.selectors.values()})) or "nothing learned"
    remedy = "set k in the pattern instead: its selectors choose as many as it says, whatever is learned"
    raise ArgumentError("density", f"a target for {layer.pattern.name!r}, of {kinds}", remedy)


def spending(
    layer: LearnedAttention,
    dense: DenseAttention,
    selections: Mapping[str, Selection],
    effects: tuple[GateEffect, ...],
    *,
    whole: bool,
) -> Spending:
    """The value of ``whole`` is what the engine reads, all terms and overlaps counted; its gradient is that of each
    selection's own density, and of the gates' chances to be open."""
    parts = []
    for name, selector in budgeted(layer).items():
        found = selections[name]
        assert not isinstance(found, SummarySelection | TermGate)
        parts.append((name, found.density.mean(), selector.budget))
    if not whole:
        return Spending(None, tuple(parts))
    moving = [density for _, density, _ in parts] + ([gate_density(effects)] if effects else [])
    slope = torch.stack([each.double() for each in moving]).sum()
    realised = measure.density(layer, dense, selections).mean().double()
    return Spending(realised + slope - slope.detach(), tuple(parts))


def hinge(spent: list[Spending], recipe: Recipe) -> Tensor | None:
    """The penalty over layers; None where nothing is free in number."""
    hold = partial(density_penalty, shared=recipe.shared, two_sided=recipe.two_sided)
    if recipe.density is not None:
        layers = [each.whole for each in spent if each.whole is not None]
        return hold(layers, recipe.density)
    budgets: dict[tuple[str, float], list[Tensor]] = {}
    for each in spent:
        for name, density, budget in each.parts:
            budgets.setdefault((name, budget), []).append(density)
    if not budgets:
        return None
    return torch.stack([hold(each, budget) for (_, budget), each in budgets.items()]).sum()


def set_noise(layer: LearnedAttention, noise: float) -> None:
    for module in (*budgeted(layer).values(), *_gates(layer)):
        module.noise = noise  # type: ignore[assignment]


def harden(layer: LearnedAttention) -> None:
    """Gates 0 or 1: one that is merely small costs what an open one does."""
    for gate in _gates(layer):
        gate.hard = True  # type: ignore[assignment]


def _gates(layer: LearnedAttention) -> list[nn.Module]:
    return list(layer.learned.gates)
