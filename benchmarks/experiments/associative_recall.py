"""Multi-query associative recall (Arora et al. 2023, Zoology, section 3.1): pairs of a key and a value, then each key
once more, among tokens that mean nothing; at each of these the model is to name the value.

    k3 v7 k1 v2  .  .  k1 .  k3 .  .        answers: v2 at the second k1, v7 at the second k3

The pairs stand in front, as in the paper. Two things are simpler here: keys return at places that are equally likely,
where the paper prefers near ones, and keys, values and fillers are tokens of three kinds, so that a filler is
never mistaken for a key.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NO_ANSWER = -100
"""What cross_entropy passes over."""


@dataclass(frozen=True, slots=True)
class Task:
    """``pairs`` in sequences of ``length``; the first ``kinds`` tokens are keys, the next values, the rest fillers."""

    length: int
    pairs: int
    kinds: int = 128

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= min(self.kinds, self.length // 3):
            raise ValueError(f"{self.pairs} pairs need as many kinds of keys, and three times as many places")

    @property
    def vocabulary(self) -> int:
        return 3 * self.kinds


@dataclass(frozen=True, slots=True)
class Examples:
    """int64 [B, N] each: the tokens; the value (0..kinds - 1) to be named, or NO_ANSWER; the place where it stands in
    the sequence, or -1."""

    tokens: Tensor
    answers: Tensor
    places: Tensor


def draw(task: Task, batch: int, generator: torch.Generator) -> Examples:
    """Keys of a sequence are different, values may repeat."""
    shape, front = (batch, task.pairs), 2 * task.pairs
    keys = _places(batch, task.kinds, task.pairs, generator)
    values = torch.randint(task.kinds, shape, generator=generator)
    tokens = torch.randint(task.kinds, (batch, task.length), generator=generator) + 2 * task.kinds
    tokens[:, 0:front:2], tokens[:, 1:front:2] = keys, values + task.kinds
    asked = front + _places(batch, task.length - front, task.pairs, generator)
    source = torch.arange(1, front, 2).expand(shape)
    return Examples(
        tokens.scatter(1, asked, keys),
        torch.full_like(tokens, NO_ANSWER).scatter(1, asked, values),
        torch.full_like(tokens, -1).scatter(1, asked, source),
    )


def _places(batch: int, among: int, count: int, generator: torch.Generator) -> Tensor:
    """[batch, count], different ones of each row, in any order."""
    return torch.rand(batch, among, generator=generator).argsort(-1)[:, :count]
