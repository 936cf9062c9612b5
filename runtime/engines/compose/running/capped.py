"""Blocks of attention whose scores are capped: s -> cap * tanh(s / cap), which no kernel of torch computes.

Exact, in plain matrix products over pieces of a batch of blocks, so that memory is bounded. Shapes are those of
``flash``, which calls this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

MOST_SCORES = 1 << 22
"""A piece with more scores is halved."""


@dataclass(frozen=True)
class Scores:
    """How scores come from q.k. In a ``causal`` block, row r sees keys 0 .. r alone."""

    scale: float
    softcap: float
    causal: bool


@dataclass(frozen=True)
class _Piece:
    """Some rows of some blocks: ``row_side`` [..., rows, D], ``key_side`` [..., keys, D]; row 0 is row ``first``."""

    row_side: tuple[Tensor, ...]
    key_side: tuple[Tensor, ...]
    first: int = 0

    def part(self, dim: int, start: int, size: int) -> _Piece:
        rows = tuple(x.narrow(dim, start, size) for x in self.row_side)
        if dim == self.row_side[0].dim() - 2:
            return replace(self, row_side=rows, first=self.first + start)
        return replace(self, row_side=rows, key_side=tuple(x.narrow(dim, start, size) for x in self.key_side))

    def keys(self, causal: bool) -> tuple[Tensor, ...]:
        """The key side, of a causal block as far as the last row sees."""
        keys = self.key_side[0].shape[-2]
        seen = min(keys, self.first + self.row_side[0].shape[-2]) if causal else keys
        return tuple(x.narrow(-2, 0, seen) for x in self.key_side)


def forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scores: Scores) -> tuple[Tensor, Tensor]:
    """(out, lse)."""
    out, lse = torch.empty(q.shape, dtype=q.dtype), torch.empty(q.shape[:-1], dtype=_wide(q.dtype))
    row_side = (q, out, lse.unsqueeze(-1), *([mask] if mask is not None else []))
    for piece in _pieces(_Piece(row_side, (k, v))):
        (query, target, target_lse, *bias), (key, value) = piece.row_side, piece.keys(scores.causal)
        logits, _ = _logits(query, key, bias, scores, piece.first)
        norm = logits.logsumexp(-1, keepdim=True)
        weights = torch.exp(logits - norm.masked_fill(norm == -math.inf, 0.0))
        target.copy_(weights @ value.to(weights.dtype))
        target_lse.copy_(norm)
    return out, lse


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, mask: Tensor | None, scores: Scores
) -> tuple[Tensor, Tensor, Tensor]:
    """(dq, dk, dv) of one part of a softmax whose whole has the given out and lse."""
    dq, dk, dv = (torch.zeros(x.shape, dtype=_wide(x.dtype)) for x in (q, k, v))
    row_side = (grad, q, out, lse.unsqueeze(-1), dq, *([mask] if mask is not None else []))
    for piece in _pieces(_Piece(row_side, (k, v, dk, dv))):
        slope, query, result, norm, target, *bias = piece.row_side
        key, value, key_target, value_target = piece.keys(scores.causal)
        logits, steep = _logits(query, key, bias, scores, piece.first)
        weights = torch.exp(logits - norm)
        slope, query, key, value = (x.to(weights.dtype) for x in (slope, query, key, value))
        value_target += weights.mT @ slope
        delta = (slope * result).sum(-1, keepdim=True)
        weights = weights * (slope @ value.mT - delta) * steep
        target += weights @ key
        key_target += weights.mT @ query
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def _logits(q: Tensor, k: Tensor, bias: list[Tensor], scores: Scores, first: int) -> tuple[Tensor, Tensor]:
    """The masked scores, and their derivatives by q.k."""
    wide = _wide(q.dtype)
    bent = torch.tanh(q.to(wide) @ k.to(wide).mT * (scores.scale / scores.softcap))
    logits = scores.softcap * bent
    if bias:
        logits = logits + bias[0]
    if scores.causal:
        hidden = torch.ones(logits.shape[-2:], dtype=torch.bool).triu_(first + 1)
        logits = logits.masked_fill(hidden, -math.inf)
    return logits, scores.scale * (1 - bent * bent)


def _pieces(piece: _Piece) -> Iterator[_Piece]:
    """The piece, halved along its batch dims and then along its rows until the scores of each part are few."""
    *batch, rows, _ = piece.row_side[0].shape
    if math.prod(batch) * rows * piece.key_side[0].shape[-2] <= MOST_SCORES:
        yield piece
        return
    dim = next((dim for dim, size in enumerate(batch) if size > 1), len(batch))
    size = piece.row_side[0].shape[dim]
    if size == 1:
        yield piece
        return
    yield from _pieces(piece.part(dim, 0, size // 2))
    yield from _pieces(piece.part(dim, size // 2, size - size // 2))


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
