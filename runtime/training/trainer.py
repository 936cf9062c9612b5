"""The same objective inside the Trainer of transformers. This module alone of the training imports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from ..errors import ArgumentError
from ..models.handle import Handle
from .objective import Objective
from .recipe import Recipe


class PatternTrainer(Trainer):  # type: ignore[misc] # transformers has no types
    """Trains what an attached pattern learns as its arguments and callbacks say.

    Of the recipe it takes the mode, the density and all about it, ``pool`` and both learning rates; steps, batches,
    accumulation, data types, warm-up and seeds are those of ``TrainingArguments``. Evaluation is the task's loss under
    the pattern. A checkpoint holds, beside the model, what ``Handle.save`` writes.

    Raises ArgumentError for a recipe that says what TrainingArguments say.
    """

    def __init__(self, handle: Handle, recipe: Recipe, **options: Any) -> None:
        for name, plain in (("accumulate", 1), ("autocast", None)):
            if getattr(recipe, name) != plain:
                raise ArgumentError(name, f"{getattr(recipe, name)}", "set it in TrainingArguments")
        if "model" in options:
            raise ArgumentError("model", "given beside the handle", "leave it out: the handle has it")
        self.handle = handle
        self.objective = Objective(handle, recipe)
        self.optimizer: torch.optim.Optimizer | None = None
        super().__init__(model=handle.model, **options)
        self.model_accepts_loss_kwargs = False  # parts are means, whatever the number of items

    def train(self, *arguments: Any, **options: Any) -> Any:
        with self.objective.in_force():
            return super().train(*arguments, **options)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model if model is None else model)
            self.optimizer = kind(self.objective.groups(), **settings)
        return self.optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        if return_outputs or not torch.is_grad_enabled():
            return super().compute_loss(model, inputs, return_outputs=return_outputs)
        self.objective.recipe = replace(self.objective.recipe, steps=max(1, self.state.max_steps))
        self.objective.set_modes()  # the Trainer has put everything into training
        parts = list(self.objective.parts(inputs, self.state.global_step, model=model))
        return torch.stack([part.loss.double() for part in parts]).sum()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        self.handle.save(self.args.output_dir if output_dir is None else output_dir)
