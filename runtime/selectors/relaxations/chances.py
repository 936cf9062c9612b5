"""What backwards stands for the hard choice of the k best: the soft top-k of each row."""

from __future__ import annotations

import torch
from torch import Tensor

from .soft_topk import soft_topk


def chances(
    scores: Tensor,
    k: int,
    *,
    eligible: Tensor,
    relax: str,
    temperature: float,
    forced: Tensor | None = None,
    soft: bool = False,
) -> Tensor:
    """The soft top-k of scores [..., n], standardised over what is eligible of each row; those that are ``forced`` are
    among the k.

    Where nobody asks for its gradient, nor, with ``soft``, for its values: 0, and NaN in rows that a NaN spoils."""
    if not soft and not (torch.is_grad_enabled() and scores.requires_grad):
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        spoiled = (scores.isnan() & eligible).any(-1, keepdim=True)
        return torch.zeros_like(scores).masked_fill(spoiled, torch.nan)
    ranked = standardised(scores, eligible)
    if forced is not None:
        ranked = ranked.masked_fill(forced, torch.inf)
    return soft_topk(ranked, k, relax=relax, temperature=temperature, eligible=eligible)


def standardised(scores: Tensor, eligible: Tensor) -> Tensor:
    """Scores of each row with mean 0 and deviation 1 over what is eligible, so that one temperature fits all rows.

    At least float32; -inf where not eligible. A NaN spoils its row, and so is seen."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    count = eligible.sum(-1, keepdim=True).clamp_min(1)
    values = scores.masked_fill(~eligible, 0.0)
    centred = (values - values.sum(-1, keepdim=True) / count).masked_fill(~eligible, 0.0)
    spread = (centred.square().sum(-1, keepdim=True) / count + 1e-12).sqrt()
    return (centred / spread).masked_fill(~eligible, -torch.inf)
