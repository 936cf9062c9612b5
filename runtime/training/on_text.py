"""Training on one text, from a model in a folder to a folder with what was learned: what `patternc train` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...compiler.output import check_folder
from ...compiler.pattern import Pattern
from ..errors import ArgumentError
from ..models.attach import attach
from .alone import check_alone
from .checkpoint import check_begin
from .controls import compare
from .loop import train
from .recipe import Mode, Recipe
from .report import StepRecord, TrainingReport

REPORT, CHECKPOINT, MODEL = "report.json", "training.pt", "model"
HELD_OUT = 0.1
"""Of the windows of a text, the last ones: what was learned is compared with its controls on them."""


@dataclass(frozen=True, slots=True)
class Split:
    """Windows int64 [1, N] to train on, and the tokens that come behind them."""

    windows: tuple[Tensor, ...]
    held_out: Tensor


def split(token_ids: list[int], length: int) -> Split:
    """Raises ArgumentError for a text below two windows."""
    count = len(token_ids) // length
    if count < 2:
        found = f"{len(token_ids)} tokens, in windows of {length}"
        raise ArgumentError("text", found, "give a text of two windows or more: one to train on, one to compare on")
    held = max(1, round(HELD_OUT * count))
    ids = torch.tensor(token_ids[: count * length]).view(count, 1, length)
    return Split(tuple(ids[: count - held]), ids[count - held :].flatten())


def check_place(output: Path, *, resume: bool) -> None:
    """That a run can begin in this folder, or go on in it. Raises ArgumentError, OSError. Nothing is made."""
    check_folder(output)
    check_alone(output / CHECKPOINT)
    check_begin(output / CHECKPOINT, resume=resume)


def train_on_text(
    model: Any,
    tokenizer: Any,
    pattern: Pattern,
    text: str,
    recipe: Recipe,
    output: Path,
    *,
    length: int,
    resume: bool = False,
    on_step: Callable[[StepRecord], bool | None] | None = None,
    say: Callable[[str], None] = lambda step: None,
) -> TrainingReport:
    """Attach, train, save and compare. ``output`` gets what ``Handle.save`` writes, the checkpoint and the report, and
    the model where its weights were trained. Nothing stays attached.

    Raises as ``attach`` and ``train``, and as ``check_place`` before anything is trained.
    """
    check_place(output, resume=resume)
    pieces = split(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], length)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)  # what is learned begins at random
        handle = attach(model, pattern)
    with handle:
        report = train(handle, pieces.windows, recipe, checkpoint=output / CHECKPOINT, resume=resume, on_step=on_step)
        handle.save(output)
        if recipe.mode != Mode.DISTILL:
            with handle.removed():
                model.save_pretrained(output / MODEL)
                tokenizer.save_pretrained(output / MODEL)
        rows = compare(handle, pieces.held_out, window=length, seeds=(recipe.seed,), say=say)
    report = replace(report, controls=rows)
    (output / REPORT).write_text(report.as_json() + "\n", encoding="utf-8")
    return report
