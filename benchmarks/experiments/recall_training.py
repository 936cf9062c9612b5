"""Training on associative recall: the whole model on the task, or its selectors towards its dense attention."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.learned.attention import LearnedAttention
from patternc.runtime.training import DenseAttention, distillation_loss

from .associative_recall import Examples, Task, draw
from .recall_model import RecallModel

Stage = tuple[Task, int, int]
"""(task, sequences in a step, steps)."""


def curriculum(task: Task, steps: int) -> list[Stage]:
    """Short sequences first, where the two layers find each other within seconds; the last three tenths at length."""
    eighth, half = (Task(max(12, task.length // part), max(1, task.pairs // part), task.kinds) for part in (8, 2))
    first, second = steps // 2, steps // 5
    return [(eighth, 64, first), (half, 16, second), (task, 8, steps - first - second)]


def train(model: RecallModel, stages: list[Stage], generator: torch.Generator, *, rate: float = 3e-3) -> None:
    """All parameters that want a gradient, on the task."""
    model.train()
    optimizer = _Optimizer([one for one in model.parameters() if one.requires_grad], rate, stages)
    for examples in _drawn(stages, generator):
        optimizer.step(model.loss(examples.tokens, examples.answers))


def distil(model: RecallModel, stages: list[Stage], generator: torch.Generator, *, rate: float = 1e-2) -> None:
    """The selectors alone, towards what the model attends to while it is dense."""
    attentions = [layer.attention for layer in model.layers]
    assert all(isinstance(attention, LearnedAttention) for attention in attentions)
    optimizer = _Optimizer([one for attention in attentions for one in attention.parameters()], rate, stages)
    for layer in model.layers:
        layer.attention = None
    for examples in _drawn(stages, generator):
        with torch.no_grad():
            _, seen = model(examples.tokens)
        losses = [
            distillation_loss(
                attention.learned.selectors["hot"], DenseAttention(one.q, one.k, one.inputs, Direction.CAUSAL)
            )
            for attention, one in zip(attentions, seen, strict=True)
        ]
        optimizer.step(torch.stack(losses).sum())
    for layer, attention in zip(model.layers, attentions, strict=True):
        layer.attention = attention


def _drawn(stages: list[Stage], generator: torch.Generator) -> Iterator[Examples]:
    for task, batch, steps in stages:
        for _ in range(steps):
            yield draw(task, batch, generator)


class _Optimizer:
    """AdamW, gradients of norm 1 at most; the rate rises over a twentieth of the steps and falls to a tenth."""

    def __init__(self, parameters: list[nn.Parameter], rate: float, stages: list[Stage]) -> None:
        self.parameters, steps = parameters, sum(count for *_, count in stages)
        self.adam = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
        warm = max(1, steps // 20)
        self.rate = torch.optim.lr_scheduler.LambdaLR(
            self.adam, lambda at: min((at + 1) / warm, 1.0 - 0.9 * at / max(1, steps))
        )

    def step(self, loss: Tensor) -> None:
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.adam.step()
        self.rate.step()
