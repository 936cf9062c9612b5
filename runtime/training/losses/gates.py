"""Gates of terms: what dense attention loses when a term closes.

For each head, with m the share of dense attention that is read with the gate open and not with it closed, the other
gates as they are, and g the chance that it is open,

    loss = sum over gates of m (1 - g)

It falls with every gate that opens; the density is what closes them, those first that hold least for what they cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...learned.attention import LearnedAttention, Selections
from ...selectors.selection import TermGate
from .. import measure
from ..dense_maps import DenseAttention


@dataclass(frozen=True, slots=True, eq=False)
class GateEffect:
    """Of one gate: its logits [Hq], and what is read more when it is open: ``mass`` of dense attention and ``density``,
    both [Hq]."""

    logits: Tensor
    mass: Tensor
    density: Tensor


def gate_effects(layer: LearnedAttention, dense: DenseAttention, selections: Selections) -> tuple[GateEffect, ...]:
    found = []
    for name, gate in zip(layer.learned.gate_names, layer.learned.gates, strict=True):
        held = selections[name]
        assert isinstance(held, TermGate)
        gates = torch.zeros_like(held.log_gate), torch.full_like(held.log_gate, -torch.inf)
        with_it, without = ({**selections, name: TermGate(each)} for each in gates)
        effect = (
            kind(layer, dense, with_it) - kind(layer, dense, without) for kind in (measure.coverage, measure.density)
        )
        logits = gate.logits
        assert isinstance(logits, Tensor)
        found.append(GateEffect(logits, *effect))
    return tuple(found)


def gate_loss(effects: tuple[GateEffect, ...]) -> Tensor:
    """The mean over heads; needs at least one gate."""
    return torch.stack([(effect.mass * torch.sigmoid(-effect.logits)).mean() for effect in effects]).sum()


def gate_density(effects: tuple[GateEffect, ...]) -> Tensor:
    """What the gates' terms cost as they are, with the gradient of their chances to be open. The mean over heads."""
    chances = (torch.sigmoid(effect.logits) * effect.density.to(effect.logits.dtype) for effect in effects)
    return torch.stack([chance.mean() for chance in chances]).sum()
