"""NaN and infinity: what a query does not attend to has no influence on its row, whatever it holds.

A kernel multiplies the pairs of a block that a pattern leaves out by 0, and 0 * NaN is NaN. So where some number is not
finite, the kernel runs without it, and what depends on it is found by running the same kernel on marks: with all scores
0, the output of a row is the mean of the marks of its keys, which is 0 unless it attends to a marked one; likewise the
gradient of a value, unless a marked row attends to its key. What depends on a number that is not finite becomes NaN,
and nothing else:

    lse            of a row where q, or a key that it attends to, is not finite
    out            of such a row, and where a value is not
    dq             of a row where q, out, lse or a gradient of them is not
    dk, dv         of a key that such a row attends to
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Forward: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None]
"""Fills out [B, Hq, Nq, D] and lse [B, Hq, Nq], which hold 0 and -inf, from q, k and v, of any D."""

Queries: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Keys: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
Backward: TypeAlias = Callable[[Queries, Keys], None]
"""Adds to dq, dk and dv, the last of (grad_out, q, out, lse, dq) and of (k, v, dk, dv)."""


def forward(run: Forward, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> None:
    """As ``run``, for any numbers."""
    if finite(q, k, v):
        run(q, k, v, out, lse)
        return
    queries, keys, values = (_spoiled(x) for x in (q, k, v))
    run(_without(q, queries), _without(k, keys), _without(v, values), out, lse)
    seen, _ = _mean(run, q, torch.stack([keys, keys | values], dim=-1), out.dtype, lse)
    alive = lse != -math.inf
    lse.masked_fill_(alive & (queries | (seen[..., 0] != 0)), math.nan)
    out.masked_fill_((alive & (queries | (seen[..., 1] != 0)))[..., None], math.nan)


def backward(run: Backward, run_forward: Forward, queries: Queries, keys: Keys) -> None:
    """As ``run``, for any numbers."""
    grad, q, out, lse, dq = queries
    k, v, dk, dv = keys
    if finite(grad, q, out, k, v):
        run(queries, keys)
        return
    rows = _spoiled(grad) | _spoiled(q) | _spoiled(out) | lse.isnan()
    clean = (_without(grad, rows), _without(q, rows), _without(out, rows), lse.masked_fill(rows, 0.0), dq)
    run(clean, (_without(k, _spoiled(k)), _without(v, _spoiled(v)), dk, dv))
    _, norm = _mean(run_forward, q, torch.zeros(*k.shape[:3], 1, dtype=torch.bool, device=k.device), out.dtype, lse)
    alive = norm != -math.inf
    marks = (rows & alive)[..., None].to(q.dtype)
    touched = _gradient(run, marks, norm.masked_fill(~alive, 0.0), k)
    dq.masked_fill_(marks != 0, math.nan)
    dk.masked_fill_(touched != 0, math.nan)
    dv.masked_fill_(touched != 0, math.nan)


def in_one(grad_out: Tensor, grad_lse: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Both gradients, of which ``backward`` looks at the first: where that of lse is not finite a NaN stands in the
    other, and 0 in its place."""
    if grad_lse is None:
        return grad_out, None
    spoiled = ~grad_lse.isfinite()
    return grad_out.masked_fill(spoiled[..., None], math.nan), grad_lse.masked_fill(spoiled, 0.0)


def sound(out: Tensor, lse: Tensor) -> bool:
    """Whether a result is finite, but for the lse of -inf of a row without keys; False also where a sum overflows."""
    return finite(out) and lse.sum().item() < math.inf


def finite(*tensors: Tensor) -> bool:
    """Whether all numbers are; False also where a sum of finite ones overflows. Each is read once."""
    total = 0.0
    for x in tensors:
        total += x.sum(dtype=_SUMMED_IN.get(x.dtype)).item()
    return math.isfinite(total)


_SUMMED_IN = {torch.bfloat16: torch.float32, torch.float16: torch.float32}
"""Others are summed in their own data type."""


def _spoiled(x: Tensor) -> Tensor:
    """bool [B, H, N]: which tokens of [B, H, N, D] hold a number that is not finite."""
    return ~x.isfinite().all(-1)


def _without(x: Tensor, spoiled: Tensor) -> Tensor:
    return x.masked_fill(spoiled[..., None], 0.0)


def _mean(run: Forward, q: Tensor, marks: Tensor, dtype: torch.dtype, lse: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the marks [B, Hkv, Nk, M] that each row attends to, [B, Hq, Nq, M], and the log of how many keys."""
    width = marks.shape[-1]
    queries, keys = (torch.zeros(*x.shape[:3], width, dtype=q.dtype, device=q.device) for x in (q, marks))
    out, norm = torch.zeros_like(queries, dtype=dtype), torch.full_like(lse, -math.inf)
    run(queries, keys, marks.to(q.dtype), out, norm)
    return out, norm


def _gradient(run: Backward, marks: Tensor, norm: Tensor, k: Tensor) -> Tensor:
    """[B, Hkv, Nk, 1], not 0 where a marked row, [B, Hq, Nq, 1], attends to the key."""
    rows = [torch.zeros_like(marks) for _ in range(3)]
    keys = [torch.zeros(*k.shape[:3], 1, dtype=k.dtype, device=k.device) for _ in range(4)]
    run((marks, rows[0], rows[1], norm, rows[2]), (keys[0], keys[1], keys[2], keys[3]))
    return keys[3]
