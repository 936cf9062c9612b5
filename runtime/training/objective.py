"""The loss of one step, part by part, in each mode."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ArgumentError
from ..learned.attention import LearnedAttention
from ..models.calls.watching import Watched
from ..models.handle import Handle
from ..models.modes import modes_kept
from ..selectors.topk_blocks import TopKBlocks
from . import measure
from .batch import moved
from .dense_maps import DenseAttention
from .distill import selector_losses
from .losses.gates import GateEffect, gate_effects, gate_loss
from .recipe import Mode, Recipe
from .spending import Spending, budgeted, check_density, harden, hinge, set_noise, spending

TASK, DISTIL, DENSITY = "task", "distil", "density"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A share of the loss of a step, to be added up, or to be given back one after the other: no two share a graph.
    ``kind``: task, distil or density."""

    kind: str
    loss: Tensor


@dataclass(slots=True)
class Measured:
    """What each layer read in a step, by its number: shares of pairs, and of dense attention."""

    density: dict[int, float] = field(default_factory=dict)
    coverage: dict[int, float] = field(default_factory=dict)


class Objective:
    """What an attached model is trained for. It notes nothing in a forward pass: losses are made of what one was seen
    to read, once, however often checkpointing runs it.

    Raises ArgumentError for a density that no loss could keep.
    """

    def __init__(self, handle: Handle, recipe: Recipe) -> None:
        self.handle, self.recipe = handle, recipe
        if recipe.density is not None:
            for layer in handle.learned.values():
                check_density(layer)
        if not any(parameter.requires_grad for parameter in handle.parameters()):
            remedy = "attach a pattern with learned terms, and not as a frozen control"
            raise ArgumentError("handle", "an attachment that has nothing to learn", remedy)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """While it lasts, what the mode leaves alone is frozen, and the rest is in training."""
        model, layers = self.handle.model, self.handle.learned.values()
        asked = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        own = {id(parameter) for parameter in self.handle.parameters()}
        distil = self.recipe.mode == Mode.DISTILL
        with modes_kept(model):
            try:
                for parameter, learns in asked:
                    parameter.requires_grad_(learns and (id(parameter) in own or not distil))
                self.set_modes()
                for layer in layers:
                    layer.detached = self.recipe.mode == Mode.JOINT
                    _probe(layer, self.recipe.probes if self.recipe.mode == Mode.END_TO_END else 0)
                    if self.recipe.density is not None:
                        harden(layer)
                yield
            finally:
                for layer in layers:
                    layer.detached = False
                    _probe(layer, 0)
                for parameter, learns in asked:
                    parameter.requires_grad_(learns)

    def set_modes(self) -> None:
        """What learns in training, with its noise; a model that is only looked at in evaluation, without dropout."""
        self.handle.model.train(self.recipe.mode != Mode.DISTILL)
        for layer in self.handle.learned.values():
            layer.train()

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for an optimizer, to be made while it is in force."""
        own = list(self.handle.parameters())
        known = {id(parameter) for parameter in own}
        rest = [each for each in self.handle.model.parameters() if each.requires_grad and id(each) not in known]
        groups = [{"params": [each for each in own if each.requires_grad], "lr": self.recipe.rate, "weight_decay": 0.0}]
        return [*groups, {"params": rest, "lr": self.recipe.model_rate}] if rest else groups

    def parts(
        self,
        batch: Mapping[str, Tensor],
        step: int,
        *,
        model: nn.Module | None = None,
        measured: Measured | None = None,
    ) -> Iterator[Part]:
        """The loss of a batch at a step. ``model``: what is called, where something wraps the handle's. ``measured`` is
        filled where it is given. Layer by layer, so that giving each part back at once keeps one layer's graph."""
        for layer in self.handle.learned.values():
            set_noise(layer, self.recipe.noise(step))
        task, seen = self._forward(batch, self.handle.model if model is None else model)
        if task is not None:
            yield Part(TASK, task)
        del task
        spent: list[Spending] = []
        count = len(seen)
        for index, layer in self.handle.learned.items():
            dense = dense_of(layer, seen.pop(index))
            yield from self._layer(layer, dense, count, spent, None if measured is None else (measured, index))
        penalty = hinge(spent, self.recipe)
        if penalty is not None:
            yield Part(DENSITY, self.recipe.density_weight(step) * penalty)

    def _layer(
        self,
        layer: LearnedAttention,
        dense: DenseAttention,
        count: int,
        spent: list[Spending],
        measured: tuple[Measured, int] | None,
    ) -> Iterator[Part]:
        whole = self.recipe.density is not None
        task_alone = self.recipe.mode == Mode.END_TO_END
        gated = bool(layer.learned.gate_names) and (whole or not task_alone)
        effects: tuple[GateEffect, ...] = ()
        if gated or whole or measured is not None or budgeted(layer):  # what ranks learns from its scores alone
            selections = layer.select(dense.inputs, dense.k, dense.k)
            effects = gate_effects(layer, dense, selections) if gated else ()
            spent.append(spending(layer, dense, selections, effects, whole=whole))
            if measured is not None:
                found, index = measured
                found.density[index] = float(measure.density(layer, dense, selections).mean())
                found.coverage[index] = float(measure.coverage(layer, dense, selections).mean())
            del selections
        if task_alone:
            return
        losses = list(selector_losses(layer, dense, pool=self.recipe.pool).values())
        if effects:
            losses.append(gate_loss(effects))
        if losses:
            yield Part(DISTIL, torch.stack([each.double() for each in losses]).sum() / count)

    def _forward(self, batch: Mapping[str, Tensor], model: nn.Module) -> tuple[Tensor | None, dict[int, Watched]]:
        """The task's loss, and what each layer was called with."""
        distil = self.recipe.mode == Mode.DISTILL
        given: dict[str, Any] = dict(batch)
        labels = given.pop("labels", None)
        accepted = inspect.signature(self.handle.model.forward).parameters
        if "use_cache" in accepted:
            given["use_cache"] = False
        if distil and "logits_to_keep" in accepted:
            given["logits_to_keep"] = 1  # nobody reads them
        if not distil:
            given["labels"] = _labels(given) if labels is None else labels
        device = next(self.handle.model.parameters()).device
        kind, dtype = device.type, self.recipe.autocast
        with ExitStack() as stack:
            stack.enter_context(nullcontext() if dtype is None else torch.autocast(kind, dtype))
            seen = stack.enter_context(self.handle.watch())
            if distil:
                stack.enter_context(self.handle.dense())
            result = model(**moved(given, device))
        if missing := self.handle.learned.keys() - seen.keys():
            found = f"layers {', '.join(map(str, sorted(missing)))} were not called"
            raise ArgumentError("model", found, "train the model that is attached")
        return None if distil else result.loss, dict(seen)


def _probe(layer: LearnedAttention, probes: int) -> None:
    for selector in layer.learned.selectors.values():
        if isinstance(selector, TopKBlocks) and layer.engine != "reference":  # which has no such gradient
            selector.probes = probes


def _labels(batch: Mapping[str, Any]) -> Tensor:
    """Every token is to be predicted that stands behind another."""
    tokens: Tensor = batch["input_ids"]
    mask = batch.get("attention_mask")
    if mask is None:
        return tokens
    before = torch.nn.functional.pad(mask, (1, 0))[:, :-1]
    return tokens.masked_fill((mask == 0) | (before == 0), -100)


def dense_of(layer: LearnedAttention, watched: Watched) -> DenseAttention:
    """What a layer was called with, cut off from what made it."""
    return DenseAttention(
        watched.q.detach(),
        watched.k.detach(),
        watched.inputs.detached(),
        layer.pattern.direction,
        scale=watched.scale,
        softcap=watched.softcap,
    )
