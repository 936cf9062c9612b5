"""What a training run did, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean


@dataclass(frozen=True, slots=True)
class StepRecord:
    """``loss``: of each kind (task, distil, density), the mean over the batches of the step. ``density``, ``coverage``:
    of each layer, by its number, where they were measured, with the noise of training."""

    step: int
    loss: Mapping[str, float]
    density: Mapping[int, float] = field(default_factory=dict)
    coverage: Mapping[int, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.loss.values())


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One way to run the model over a held-out text: ``density`` of all pairs, the mean over layers and windows;
    ``coverage`` of dense attention, None where it was not measured. ``ways``: in how many layers selections ran as
    lists, and in how many as one dense attention, in the first window; empty where nothing selects."""

    name: str
    perplexity: float
    density: float
    coverage: float | None
    tokens: int
    window: int
    ways: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """``recipe`` as plain values; ``finished``: all of its steps were made. ``seconds``: what the steps took by the
    clock, also those of earlier runs that this one went on from."""

    pattern: str
    recipe: Mapping[str, object]
    steps: tuple[StepRecord, ...]
    finished: bool
    seconds: float = field(compare=False)
    controls: tuple[ControlRow, ...] = ()

    def as_json(self) -> str:
        return json.dumps({"version": 1, **asdict(self)}, indent=2)

    def as_text(self) -> str:
        """The last step, and the controls as a table."""
        lines = []
        if self.steps:
            last = self.steps[-1]
            parts = ", ".join(f"{kind} {value:.4f}" for kind, value in last.loss.items())
            lines.append(f"{self.pattern}: {last.step + 1} steps in {self.seconds:.0f} s, {parts}")
            measured = [step for step in self.steps if step.density]
            for step in measured[-1:]:
                pairs, mass = fmean(step.density.values()), fmean(step.coverage.values())
                lines.append(f"read {pairs:.1%} of all pairs, {mass:.1%} of dense attention (step {step.step + 1})")
        if self.controls:
            width = max(len(row.name) for row in self.controls)
            lines.append(f"{'':{width}}  {'perplexity':>10}  {'density':>8}  {'coverage':>8}")
        for row in self.controls:
            covered = "" if row.coverage is None else f"{row.coverage:.1%}"
            ran = ", ".join(f"{count} layers as {way}" for way, count in row.ways.items())
            lines.append(
                f"{row.name:{width}}  {row.perplexity:10.3f}  {row.density:8.1%}  {covered:>8}  {ran}".rstrip()
            )
        return "\n".join(lines)
