"""Whether an engine agrees with the reference, and how far it may be off.

A result in a low precision is off by as much as that precision allows: eager attention in the same data type, computed
as a model computes it, says how much that is. An engine may be off by twice as much, and by one more rounding; its
gradients by two more, since they begin with out, which was rounded already, where eager attention keeps its weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

NAMES = ("out", "lse", "dq", "dk", "dv")

ROUNDING = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
"""What every engine is allowed beside twice the error of eager attention, relative to the largest entry."""


class Mismatch(AssertionError):
    """Two results differ by more than the budget."""


def results(program: Any, inputs: Sequence[Tensor], **arguments: Any) -> list[Tensor]:
    """out, lse, dq, dk, dv under one fixed loss of out and lse. ``program`` is compiled, or looks like it: called with
    q, k, v and ``return_lse``, with a ``dtype``."""
    inputs = [x.detach().to(program.dtype).requires_grad_() for x in inputs]
    out, lse = program(*inputs, return_lse=True, **arguments)
    weight = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out)
    slope = torch.linspace(-1, 2, lse.numel(), device=lse.device).view_as(lse)
    loss = (out.double() * weight).sum() + (lse.double() * slope)[lse.isfinite()].sum()
    return [out, lse, *torch.autograd.grad(loss, inputs)]


def error(mine: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest entry of ``theirs`` where that is over 1. -inf equals itself."""
    mine, theirs = (x.detach().double().nan_to_num(neginf=0) for x in (mine, theirs))
    if not mine.numel():
        return 0.0
    return float((mine - theirs).abs().amax()) / max(1.0, float(theirs.abs().amax()))


def agree(mine: Sequence[Tensor], theirs: Sequence[Tensor], *, budget: float | Sequence[float]) -> None:
    """Raises Mismatch unless out, lse, dq, dk and dv are each within ``budget``, or within the budget of its own, of
    what they should be."""
    budgets = [budget] * len(mine) if isinstance(budget, float | int) else budget
    for name, a, b, allowed in zip(NAMES, mine, theirs, budgets, strict=True):
        if a.shape != b.shape:
            raise Mismatch(f"{name} has shape {tuple(a.shape)}, and should have {tuple(b.shape)}")
        if bool((a.isnan() | (a.isfinite() != b.isfinite())).any()):
            broken = bool((b.isfinite() & ~a.isfinite()).any())
            raise Mismatch(
                f"{name} is {'not finite where it should be' if broken else 'finite where it should not be'}"
            )
        if not error(a, b) <= allowed:
            raise Mismatch(f"{name} is off by {error(a, b):.3g}, and {allowed:.3g} is allowed")


def budgets(eager: Sequence[Tensor], exact: Sequence[Tensor], dtype: torch.dtype) -> list[float]:
    """How far each result of an engine may be off, given eager attention's in the same data type."""
    more = [ROUNDING[dtype] * (2 if name.startswith("d") else 1) for name in NAMES]
    return [2 * error(mine, theirs) + by for mine, theirs, by in zip(eager, exact, more, strict=True)]


class Eager:
    """Attention as a model computes it in its own data type, under a boolean mask [B, 1, Nq, Nk] or one that broadcasts
    to it. A row without a key gives out 0 and lse -inf, and no gradient."""

    def __init__(self, mask: Tensor, dtype: torch.dtype, softcap: float | None = None) -> None:
        self.mask, self.dtype, self.softcap = mask, dtype, softcap

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_lse: bool, scale: float | None = None
    ) -> tuple[Tensor, Tensor]:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        some = self.mask.any(-1, keepdim=True)
        scores = q @ k.mT * scale
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        scores = scores.masked_fill(~(self.mask | ~some), -math.inf)
        out = torch.where(some, scores.softmax(-1) @ v, 0.0)
        return out, torch.where(some[..., 0], scores.logsumexp(-1), -math.inf)
