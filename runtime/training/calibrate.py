"""Holding a budget exactly: what is free in number reads on other texts about what it reads on these.

A penalty holds the density of the batch of each step. Toward the end of a training, when rates are low and the model
still moves, the mean over texts drifts off by a point or two; one number, the same for all, brings it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError
from ..models.handle import Handle
from ..models.modes import evaluating
from ..selectors.importance import Importance
from ..selectors.selection import TokenSelection
from .batch import Batch, by_name, moved
from .spending import budgeted

FARTHEST = 8.0
"""Logits that are moved by so much are nearly all open, or nearly none."""


@torch.no_grad()
def calibrate(handle: Handle, batches: Sequence[Batch | Tensor], *, rounds: int = 10) -> float:
    """Adds one number to the logits of every learned ``importance`` such that their density, the mean over layers and
    over the batches, in evaluation, is the mean of their budgets; gives that density. ``batches`` as ``train`` takes
    them; labels are not looked at. Each round, a bisection, takes a forward pass of every batch.

    Raises ArgumentError where nothing of the kind learns, or there is no batch.
    """
    found = {(at, name): one for at, layer in handle.learned.items() for name, one in budgeted(layer).items()}
    selectors = {key: one for key, one in found.items() if isinstance(one, Importance)}
    if not selectors:
        raise ArgumentError("handle", "no `importance` that learns", "calibrate what is free in number")
    if not batches:
        raise ArgumentError("batches", "no batch", "give texts to calibrate on")
    biases = [linear.bias for each in selectors.values() for linear in _linears(each)]
    starts = [bias.clone() for bias in biases]
    target = fmean(each.budget for each in selectors.values())
    low, high, density = -FARTHEST, FARTHEST, 0.0
    with evaluating(handle.model):
        for _ in range(rounds):
            shift = (low + high) / 2
            for bias, start in zip(biases, starts, strict=True):
                bias.copy_(start + shift)
            density = _density(handle, batches, selectors.keys())
            low, high = (low, shift) if density > target else (shift, high)
    return density


def _density(handle: Handle, batches: Sequence[Batch | Tensor], selectors: Any) -> float:
    device, read = next(handle.model.parameters()).device, []
    for batch in batches:
        given = {name: x for name, x in by_name(batch).items() if name != "labels"}
        with handle.watch() as seen:
            handle.model(**moved(given, device))
        for at, name in selectors:
            chosen = (seen[at].selections or {})[name]
            assert isinstance(chosen, TokenSelection)
            read.append(float(chosen.density.mean()))
    return fmean(read)


def _linears(selector: Importance) -> list[Any]:
    parts = (selector.scorer.columns, selector.scorer.rows)
    return [linear for linear in parts if linear is not None]
