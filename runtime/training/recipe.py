"""How something is trained: every number that a run depends on, so that it can be repeated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import torch

from ..errors import ArgumentError
from ..selectors.budget import constant, ramp
from .dense_maps import POOLS


class Mode(StrEnum):
    """What learns, and from what."""

    DISTILL = "distill"  # what is learned, from the dense model, which stays as it is (Gao et al. 2024)
    JOINT = "joint"  # that, and the model from its task, which reaches no selector (DeepSeek-AI 2025, section 2.1.2)
    END_TO_END = "end_to_end"  # both from the task alone, by the gates' own gradients


@dataclass(frozen=True, slots=True)
class Recipe:
    """``steps`` of the optimizer, each over ``accumulate`` batches. ``seed`` decides noise and the order of batches.

    ``density``: the share of all pairs that may be read, in (0, 1]; None: what each selector has as its budget. It is
    held by ``weight`` times a hinge on what was realised, which rises from 0 over the share ``ramp`` of the steps;
    ``shared``: by all layers together; ``two_sided``: from below too, for a task that opens too little by itself.
    ``rate`` is the learning rate of what is learned, ``model_rate`` of the model; both rise over ``warmup`` steps, and
    fall to 0 as a cosine. ``autocast``: the data type in which the model computes. ``pool`` is that of
    ``block_attention``. ``probes``: how many blocks of each row that were not chosen end-to-end training asks what
    opening them would do. Density and coverage are measured at every ``measure_every``-th step.
    """

    steps: int
    mode: str = Mode.DISTILL
    density: float | None = None
    seed: int = 0
    shared: bool = True
    two_sided: bool = False
    weight: float = 4.0
    ramp: float = 0.0
    rate: float = 1e-3
    model_rate: float = 1e-5
    warmup: int = 10
    accumulate: int = 1
    autocast: torch.dtype | None = None
    pool: str = "max"
    probes: int = 1
    measure_every: int = 10

    def __post_init__(self) -> None:
        """Raises ArgumentError, naming the value that does not fit."""
        _among("mode", self.mode, tuple(map(str, Mode)))
        _among("pool", self.pool, POOLS)
        for name in ("steps", "accumulate", "measure_every"):
            _hold(name, getattr(self, name), getattr(self, name) >= 1, "give at least 1")
        for name in ("seed", "warmup", "weight", "rate", "model_rate", "probes"):
            _hold(name, getattr(self, name), 0 <= getattr(self, name) < math.inf, "give 0 or more, no infinity")
        _hold("ramp", self.ramp, 0 <= self.ramp <= 1, "give the share of the steps, between 0 and 1")
        if self.density is not None:
            _hold("density", self.density, 0 < self.density <= 1, "give a share of all pairs, above 0 and at most 1")

    def density_weight(self, step: int) -> float:
        rising = round(self.ramp * self.steps)
        return (ramp(0.0, self.weight, rising) if rising else constant(self.weight))(step)

    def noise(self, step: int) -> float:
        """What gates are drawn with: whole for half of the steps, then less and less, since evaluation has none."""
        return min(1.0, 2.0 - 2.0 * step / self.steps)

    def pace(self, step: int) -> float:
        """The factor of the learning rates."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _among(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentError(name, repr(value), f"choose one of {', '.join(choices)}")


def _hold(name: str, value: object, fits: bool, remedy: str) -> None:
    if not fits:
        raise ArgumentError(name, f"{value}", remedy)
