"""``importance``: what dense attention loses when a token is neither a column nor a row.

With c_j and r_i the chances that gates are open, and p_ij dense attention, the mean over all heads, over the pairs that
nothing else reads:

    loss = sum_ij p_ij (1 - c_j)(1 - r_i) / sum_ij p_ij

Gates are drawn with logistic noise, open where logit + noise > 0, so that c = sigmoid(logit): this is the share that
is lost on average. It falls with every gate that opens; the density is what closes them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...differentiable import once
from ...selectors.importance import Importance
from ...selectors.inputs import Side
from ..dense_maps import DenseAttention


def importance_loss(selector: Importance, dense: DenseAttention) -> Tensor:
    columns, rows = selector.scorer(dense.inputs)
    closed_rows, closed_columns = (
        _always(side) if logits is None else torch.sigmoid(-logits / selector.temperature)[:, 0]
        for logits, side in ((rows, dense.inputs.query), (columns, dense.inputs.key))
    )
    wide = torch.promote_types(closed_rows.dtype, closed_columns.dtype)
    lost: Tensor = _Lost.apply(closed_rows.to(wide), closed_columns.to(wide), dense)  # type: ignore[no-untyped-call]
    return lost


def _always(side: Side) -> Tensor:
    """[B, N]: what no pattern reads is closed."""
    batch, n, device = side.shape
    return torch.ones(batch, n, device=device)


class _Lost(torch.autograd.Function):
    """rows^T P columns / sum P, rows [B, Nq], columns [B, Nk], P [B, Nq, Nk] made a few rows at a time, once."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, columns: Tensor, dense: DenseAttention) -> Tensor:
        by_row, by_column, total, start = [], torch.zeros_like(columns), columns.new_zeros(()), 0
        for weights in dense.rows(1):
            part = weights[:, :, :, 0].mean(1).to(columns.dtype)
            by_row.append((part @ columns[..., None])[..., 0])
            by_column += (rows[:, None, start : start + part.shape[1]] @ part)[:, 0]
            total += part.sum()
            start += part.shape[1]
        total = total.masked_fill(total == 0, 1.0)
        slope = torch.cat(by_row, 1) / total
        ctx.save_for_backward(rows, columns, slope, by_column / total)
        return (rows * slope).sum()

    @staticmethod
    @once
    def backward(ctx: Any, saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor | None, ...]:
        *_, by_row, by_column = saved
        return grad * by_row, grad * by_column, None
