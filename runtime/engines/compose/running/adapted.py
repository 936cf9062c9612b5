"""Calls as torch's kernel takes them: a positive scale, and no gradient of lse."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...engine import Call


def positive_scale(q: Tensor, call: Call) -> tuple[Tensor, Call, int]:
    """(q, call, factor of dq): torch's causal kernel multiplies the -inf of a later key by the scale, which must be
    positive then: q.k * s = (-q).k * -s, and q.k * 0 = (0 * q).k * 1."""
    if call.scale > 0:
        return q, call, 1
    if call.scale < 0:
        return q.neg(), replace(call, scale=-call.scale), -1
    return q * 0, replace(call, scale=1.0), 0  # NaN where q is not finite


def carry_lse_gradient(
    grad: Tensor, grad_lse: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One more feature makes flash return the gradient of lse too: dS = P * (dO v^T - D) gains + dlse when v gets a
    column of ones and dO the column dlse, while the column of zeros in O leaves D as it was."""
    last = (*[1] * (q.dim() - 1), 1)

    def widen(x: Tensor, column: Tensor) -> Tensor:
        return torch.cat([x, column.to(x.dtype)], dim=-1)

    zeros_q, zeros_k = (torch.zeros(1).view(last).expand(*x.shape[:-1], 1) for x in (q, k))
    return (
        widen(grad, grad_lse.unsqueeze(-1)),
        widen(q, zeros_q),
        widen(k, zeros_k),
        widen(v, torch.ones_like(zeros_k)),
        widen(out, zeros_q),
    )
