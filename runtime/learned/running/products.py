"""A piece of a softmax in plain matrix products, with the gradients of its gates. Shapes are folded (``pieces.py``)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..lists.places import Heads, parted
from .pieces import Piece, bias, places


@dataclass(frozen=True, slots=True)
class Scores:
    """scale multiplies q.k; with ``softcap`` a score s then becomes softcap * tanh(s / softcap), before any gate."""

    scale: float
    softcap: float | None = None

    def of(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor | float]:
        """(scores, their derivative by q.k)."""
        raw = (q * self.scale) @ k.mT
        if self.softcap is None:
            return raw, self.scale
        bent = torch.tanh(raw / self.softcap)
        return self.softcap * bent, self.scale * (1 - bent * bent)


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Of the whole softmax, for the rows of a piece: q, grad and out [..., rows, D]; delta, lse and the gradient of lse
    [..., rows, 1]. lse is finite."""

    q: Tensor
    grad: Tensor
    out: Tensor
    delta: Tensor
    lse: Tensor
    grad_lse: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """Of a piece: q [..., rows, D], keys and values [..., keys, D]; of the log-gates, the sums of dS over the pairs of
    each key, [..., keys], and of each row, [..., rows], where they were asked for."""

    q: Tensor
    keys: Tensor
    values: Tensor
    by_key: Tensor | None
    by_row: Tensor | None


def forward(
    piece: Piece, heads: Heads, q: Tensor, keys: Tensor, values: Tensor, scores: Scores
) -> tuple[Tensor, Tensor]:
    """(out, lse [..., rows, 1]) of a piece alone."""
    logits = _logits(piece, heads, scores.of(q, keys)[0])
    top = logits.amax(-1, keepdim=True)
    weights = logits.sub_(top.masked_fill(top.isneginf(), 0.0)).exp_()
    total = weights.sum(-1, keepdim=True)
    return weights @ values / total.masked_fill(total == 0, 1.0), total.log() + top


def backward(piece: Piece, heads: Heads, rows: Folded, keys: Tensor, values: Tensor, scores: Scores) -> Gradients:
    raw, steep = scores.of(rows.q, keys)
    weights = _logits(piece, heads, raw).sub_(rows.lse).exp_()
    values_slope = weights.mT @ rows.grad
    ds = (rows.grad @ values.mT).sub_(rows.delta).mul_(weights)
    by_key, by_row = ds.sum(-2), ds.sum(-1)
    ds = ds * steep
    return Gradients(ds @ keys, ds.mT @ rows.q, values_slope, by_key, by_row)


def _logits(piece: Piece, heads: Heads, raw: Tensor) -> Tensor:
    added = bias(piece, places(piece, heads), raw.dtype)
    if added is None:
        return raw
    return (parted(raw, 4, heads.group, piece.size) + added).flatten(4, 5)
