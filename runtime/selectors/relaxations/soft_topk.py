"""Soft top-k: p = F((z - tau) / a), with tau such that the row adds up to k. Hard top-k, and the two of them together.

Backward, for every F, with f = F'((z - tau) / a) / a and <f, g> / sum f the gradient of k:

    dz = f * (g - <f, g> / sum f)       dk = <f, g> / sum f       da = - sum f * (g - dk) * (z - tau) / a
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...differentiable import once
from ...errors import ArgumentError
from .threshold import FAMILIES

REACH = 1000.0
"""Scores further apart than this many temperatures are moved together, to this distance: no probability changes, since
float64 has no e^-1000, and what was lost in the sums of scores of very different size is kept."""


def soft_topk(
    scores: Tensor,
    k: float | Tensor,
    *,
    relax: str = "soft_topk",
    temperature: float | Tensor = 1.0,
    eligible: Tensor | None = None,
) -> Tensor:
    """Probabilities [..., n] in [0, 1] that add up to k in every row, differentiable in scores, k and temperature.

    scores [..., n], floating; k >= 0 and temperature > 0, numbers or tensors that broadcast to [...], k not
    necessarily whole; eligible bool, broadcasts to scores. What is not eligible, or -inf, gets exactly 0. A row with
    at most k eligible entries keeps each with probability 1, and an entry of +inf has probability 1 and counts (more
    than k of them share k equally): neither has a gradient. Equal scores have equal probabilities. The result has the
    data type of scores, float32 for half precision; sums are computed in float64. O(n log n) time, O(n) memory.

    Raises ArgumentError for NaN among the eligible scores and for k or temperature out of range. On an accelerator
    values are not looked at, since that would stop its stream: there such a row is NaN.
    """
    check_relax(relax)
    scores, live = _checked(scores, eligible)
    lead = scores.shape[:-1]
    k = _per_row("k", k, lead, scores)
    temperature = _per_row("temperature", temperature, lead, scores)
    if readable(scores):
        if not bool((k >= 0).all()):
            raise ArgumentError("k", "negative or NaN", "k counts what is chosen: give 0 or more")
        if not bool(((temperature > 0) & temperature.isfinite()).all()):
            raise ArgumentError("temperature", "not a positive number", "give a temperature above 0")
    result: Tensor = _SoftTopK.apply(scores, k, temperature, live, relax)  # type: ignore[no-untyped-call]
    return result


def hard_topk(scores: Tensor, k: int | Tensor, *, eligible: Tensor | None = None) -> Tensor:
    """bool [..., n]: the k greatest eligible scores of each row, all of them where there are fewer; of equal ones the
    first. -inf is never chosen. k: an int, or ints that broadcast to [...]. Raises as ``soft_topk`` does."""
    scores, live = _checked(scores.detach(), eligible)
    if isinstance(k, Tensor):
        rows: int | Tensor = k.to(scores.device).expand(scores.shape[:-1])[..., None]
        negative = readable(scores) and not bool((k >= 0).all())
    else:  # compared as it is: as a tensor it would be a copy to the device, which waits for it
        rows, negative = k, k < 0
    if negative:
        raise ArgumentError("k", "negative", "k counts what is chosen: give 0 or more")
    # NaN sorts as the greatest, and may not be chosen.
    ordered = scores.masked_fill(~live | scores.isnan(), -torch.inf).sort(dim=-1, descending=True, stable=True)
    among = torch.arange(scores.shape[-1], device=scores.device) < rows
    return torch.zeros_like(live).scatter(-1, ordered.indices, among & (ordered.values > -torch.inf))


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The values of ``hard`` (bool or 0/1) with the gradient of ``soft``."""
    # soft - soft is exactly 0, so the values stay exactly 0 and 1.
    return hard.to(soft.dtype) + (soft - soft.detach())


def check_relax(relax: str) -> None:
    if relax not in FAMILIES:
        raise ArgumentError("relax", repr(relax), f"choose one of {', '.join(FAMILIES)}")


class _SoftTopK(torch.autograd.Function):
    """scores [..., n]; k and temperature float64 [...]; live bool [..., n]."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, k: Tensor, temperature: Tensor, live: Tensor, relax: str) -> Tensor:
        distribution, density, threshold = FAMILIES[relax]
        certain = live & scores.isposinf()
        others = live & ~certain
        left = k - certain.sum(-1)
        inner = (left > 0) & (left < others.sum(-1))  # the rows that have a threshold
        x, order = _sorted(scores, others & inner[..., None], temperature)
        present = x.isfinite()
        offset = x - threshold(x, left.where(inner, 0.5))[..., None] if x.shape[-1] else x
        p = distribution(offset).masked_fill(~present, 0.0)
        p = torch.zeros_like(p).scatter(-1, order, p)
        share = (k / certain.sum(-1)).clamp(max=1.0)
        p = torch.where(certain, share[..., None], p)
        p = torch.where(others & ((left >= others.sum(-1)) & (left > 0))[..., None], 1.0, p)
        spoiled = (live & scores.isnan()).any(-1) | ~(k >= 0) | ~(temperature > 0)
        p = torch.where(spoiled[..., None] & live, torch.nan, p)
        slope = density(offset).masked_fill(~present, 0.0) / temperature[..., None]
        steep = torch.where(present & ctx.needs_input_grad[2], offset * slope, 0.0)
        restored = (torch.zeros_like(p).scatter(-1, order, row) for row in (slope, steep))
        ctx.save_for_backward(scores, k, temperature, *restored)
        ctx.dtype = scores.dtype
        return p.to(torch.promote_types(scores.dtype, torch.float32))

    @staticmethod
    @once
    def backward(ctx: Any, saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor | None, ...]:
        *_, slope, steep = saved
        grad = grad.double()
        total = slope.sum(-1)
        # A threshold in a gap so wide that nothing moves it: no gradient.
        mean = torch.where(total > 0, (slope * grad).sum(-1) / total.where(total > 0, 1.0), 0.0)
        centred = grad - mean[..., None]
        return (slope * centred).to(ctx.dtype), mean, -(steep * centred).sum(-1), None, None


def _sorted(scores: Tensor, live: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """(x [..., n] float64 from 0 downwards, in temperatures, -inf for what is not live; where each came from)."""
    ordered = scores.double().masked_fill(~live, -torch.inf).sort(dim=-1, descending=True, stable=True)
    present = ordered.values > -torch.inf
    values = ordered.values.masked_fill(~present, 0.0)
    falls = ((values[..., :-1] - values[..., 1:]) / temperature[..., None]).clamp(max=REACH)
    x = -torch.nn.functional.pad(falls.masked_fill(~present[..., 1:], 0.0).cumsum(-1), (1, 0))
    return x[..., : scores.shape[-1]].masked_fill(~present, -torch.inf), ordered.indices


def _checked(scores: Tensor, eligible: Tensor | None) -> tuple[Tensor, Tensor]:
    if not scores.is_floating_point() or scores.dim() == 0:
        found = f"{scores.dtype} with {scores.dim()} dimensions"
        raise ArgumentError("scores", found, "give floating-point scores, the candidates in the last dimension")
    live = torch.ones_like(scores, dtype=torch.bool) if eligible is None else eligible
    if live.dtype != torch.bool:
        raise ArgumentError("eligible", str(live.dtype), "give a bool tensor")
    try:
        live = live.expand(scores.shape)
    except RuntimeError:
        found = f"shape {tuple(live.shape)} against scores {tuple(scores.shape)}"
        raise ArgumentError("eligible", found, "give it a shape that broadcasts to the scores") from None
    live = live & ~scores.isneginf()
    if readable(scores) and bool((live & scores.isnan()).any()):
        raise ArgumentError("scores", "NaN", "find where they become NaN: a selection from them would be arbitrary")
    return scores, live


def _per_row(name: str, value: float | Tensor, lead: torch.Size, scores: Tensor) -> Tensor:
    if not isinstance(value, Tensor):  # filled in on the device: nothing is copied to it
        return torch.full((), float(value), dtype=torch.float64, device=scores.device).expand(lead)
    try:
        return value.to(scores.device).double().expand(lead)
    except RuntimeError:
        found = f"shape {tuple(value.shape)} for rows {tuple(lead)}"
        raise ArgumentError(name, found, "give one number, or one for each row") from None


def readable(scores: Tensor) -> bool:
    """Whether the numbers can be looked at without stopping a device, or a trace."""
    return scores.device.type == "cpu" and not torch.compiler.is_compiling()
