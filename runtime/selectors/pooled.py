"""``pooled(s)``: summaries of s tokens, only of those that are complete and, in a causal pattern, past."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .inputs import Inputs, Side
from .layer import allowed_pairs
from .scoring.pooling import block_means
from .selection import SummarySelection


def token_means(side: Side, name: str, x: Tensor, size: int, *, whole: bool) -> Tensor:
    """x [B, H, N, D] of the tokens of a side, 0 where none exists, as [B, H, blocks, D]: the mean of each block. Not
    ``whole``: of N // size blocks."""
    last = x.shape[-2] if whole else x.shape[-2] // size * size

    def means(known: int) -> Tensor:
        start = known * size
        return block_means(x[..., start:last, :], side.exists(start)[:, : last - start], size)

    return side.made(name, size, means, whole=whole)


class Pooled(nn.Module):
    """The mean key and the mean value of every s tokens. log s is added to a summary's score, so that s equal keys
    weigh the same as their summary; pooled(1) is dense attention.

    Summary p stands for the tokens p * s .. p * s + s - 1; query i reads it when (p + 1) * s <= i + 1.
    """

    def __init__(self, direction: Direction, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ArgumentError("s", f"{size}", "a summary is of at least one token")
        self.direction, self.size = direction, size

    def forward(self, inputs: Inputs, values: Tensor) -> SummarySelection:
        """values [B, Hkv, Nk, D], beside the keys of ``inputs``: those that attention uses, rotary embedding included
        if the summaries of the model are to carry it."""
        inputs.fit(self.direction, "pooled")
        keys = inputs.key.needs("heads", "pooled")
        if values.shape[:-1] != keys.shape[:-1]:
            found = f"shape {tuple(values.shape)} beside keys {tuple(keys.shape)}"
            raise ArgumentError("values", found, "give a value for every key")
        whole = keys.shape[-2] // self.size
        counts = inputs.key.counts() // self.size
        present = torch.arange(whole, device=keys.device) < counts[:, None]
        keys, values = (
            token_means(inputs.key, name, x, self.size, whole=False).masked_fill(~present[:, None, :, None], 0.0)
            for name, x in (("keys", keys), ("values", values))
        )
        causal = self.direction is Direction.CAUSAL
        visible_from = torch.arange(1, whole + 1, device=keys.device) * self.size - 1
        queries = inputs.query.counts()[:, None]
        read = (queries - visible_from).clamp_min(0) if causal else queries.expand(-1, whole)
        density = read.where(present, 0).sum(-1) / allowed_pairs(inputs, self.direction).clamp_min(1)
        return SummarySelection(
            self.direction,
            self.size,
            keys,
            values,
            math.log(self.size),
            visible_from if causal else torch.zeros_like(visible_from),
            counts,
            density[:, None],
        )
