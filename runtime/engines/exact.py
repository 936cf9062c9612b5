"""Scores that overflow: a mask of -inf makes NaN of a score of inf, which spoils rows that leave the pair out.

So does 0 * inf, where a probability is 0 and dO V overflows. In double precision no product of single ones overflows:
what is not finite is computed again there. Of finite numbers; ``guard`` is for others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import guard


def forward(run: guard.Forward) -> guard.Forward:
    """As ``run``, which takes any data type, but for scores that overflow."""

    def exactly(q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> None:
        run(q, k, v, out, lse)
        if q.dtype != torch.float64 and not guard.sound(out, lse):
            wide = _forward_in_double(run, q, k, v, out)
            for target, found in zip((out, lse), wide, strict=True):
                target.copy_(found)

    return exactly


def backward(run: guard.Backward, run_forward: guard.Forward) -> guard.Backward:
    """As ``forward``. Where a score overflows a single lse does too, and is found again."""

    def exactly(queries: guard.Queries, keys: guard.Keys) -> None:
        grad, q, out, lse, dq = queries
        k, v, dk, dv = keys
        own = [torch.zeros_like(x) for x in (dq, dk, dv)]
        run((grad, q, out, lse, own[0]), (k, v, own[1], own[2]))
        if q.dtype != torch.float64 and not guard.finite(lse, *own):
            own = [torch.zeros_like(x, dtype=torch.float64) for x in own]
            _, norm = _forward_in_double(run_forward, q, k, v, out)
            norm.masked_fill_(norm == -math.inf, 0.0)
            run(
                (grad.double(), q.double(), out.double(), norm, own[0]),
                (k.double(), v.double(), own[1], own[2]),
            )
        for target, part in zip((dq, dk, dv), own, strict=True):
            target.add_(part)

    return exactly


def _forward_in_double(run: guard.Forward, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    found = torch.zeros_like(out, dtype=torch.float64)
    norm = torch.full(out.shape[:-1], -math.inf, dtype=torch.float64, device=out.device)
    run(q.double(), k.double(), v.double(), found, norm)
    return found, norm
