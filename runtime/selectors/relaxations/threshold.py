"""The threshold t at which the probabilities of a row add up to k: sum_i F(x_i - t) = k, for three F.

    sparsek    F(x) = clip(x, 0, 1)                       Lou et al. 2024, section 3.2
    lapsum     F(x) = e^x / 2 if x <= 0, else 1 - e^-x / 2    Struski et al. 2025, section 3
    soft_topk  F(x) = 1 / (1 + e^-x)                      Xie et al. 2020: entropic transport with regularisation 2

All functions take x float64 [..., n], sorted so that it falls, with -inf for what is left out, and k float64 [...]
strictly between 0 and the number of finite entries of its row. They return t [...], float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ROUNDS = 200
"""Of the logistic threshold, at most. Scores are at most 1000 apart (``soft_topk.REACH``): halving the bracket of a
million of them until float64 can tell no more takes about 80; Newton needs about five."""

UNSEEN = 48
"""Rounds of the logistic threshold where nobody looks whether it is found: on an accelerator a look stops the stream.
Of rows of up to 4096 scores, equal ones and outliers by a million temperatures among them, none needs more."""


def clip_threshold(x: Tensor, k: Tensor) -> Tensor:
    """The mass is piecewise linear in t: an entry starts to count at x and is whole from x - 1 on."""
    live = x.isfinite()
    steps = torch.cat([live, live], -1).double()
    steps[..., x.shape[-1] :] *= -1
    places, order = torch.cat([x, x - 1], -1).sort(-1, descending=True)
    active = steps.gather(-1, order).cumsum(-1)
    falls = (places[..., :-1] - places[..., 1:]).masked_fill(~places[..., 1:].isfinite(), 0.0)
    mass = torch.nn.functional.pad((active[..., :-1] * falls).cumsum(-1), (1, 0))
    # The last place at which the mass is not above k; from there on it grows by `active` for every 1 that t falls.
    usable = (mass <= k[..., None]) & places.isfinite()
    last = (usable.sum(-1, keepdim=True) - 1).clamp_min(0)
    place, slope, below = (row.gather(-1, last)[..., 0] for row in (places, active, mass))
    return place - torch.where(slope > 0.5, (k - below) / slope.clamp_min(1.0), 0.0)


def laplace_threshold(x: Tensor, k: Tensor) -> Tensor:
    """Closed form. With j entries above t, y = e^t solves A y^2 / 2 + (k - j) y - B / 2 = 0, where A is the sum of e^-x
    over those and B the sum of e^x over the others. All in logarithms, and relative to the entry at t."""
    live = x.isfinite()
    empty = torch.full_like(x[..., :1], -torch.inf)
    above = torch.logcumsumexp((-x).masked_fill(~live, -torch.inf), -1)
    below = torch.logcumsumexp(x.flip(-1), -1).flip(-1)
    # Column j is for j entries above the threshold; the centre is the last of them, the first entry when j = 0.
    centre = torch.cat([x[..., :1], x.masked_fill(~live, 0.0)], -1)
    log_a = torch.cat([empty, above], -1) + centre
    log_b = torch.cat([below, empty], -1) - centre
    count = torch.arange(1, x.shape[-1] + 1, device=x.device)
    mass = count - 0.5 * log_a[..., 1:].exp() + 0.5 * log_b[..., 1:].exp()
    j = ((mass <= k[..., None]) & live).sum(-1, keepdim=True)
    log_a, log_b, centre = (row.gather(-1, j)[..., 0] for row in (log_a, log_b, centre))
    gap = k - j[..., 0]
    log_gap = gap.abs().log()
    log_sum = torch.logaddexp(log_gap, 0.5 * torch.logaddexp(2 * log_gap, log_a + log_b))
    # Of the two forms of the root, the one without cancellation.
    return centre + torch.where(gap >= 0, log_b - log_sum, log_sum - log_a)


def logistic_threshold(x: Tensor, k: Tensor) -> Tensor:
    """Newton's steps within a bracket, which is halved where they leave it or do not become half as long each time. A
    row that is done stays as it is, so that on a CPU, where a look is free, all of them done is the end."""
    seen = x.device.type == "cpu"
    live = x.isfinite()
    count = live.sum(-1)
    least = x.masked_fill(~live, torch.inf).amin(-1)
    odds = torch.log(k) - torch.log(count - k)
    # With every entry at the least (the greatest) x, t would be exactly here.
    low, high = least - odds, x[..., 0] - odds
    eps = torch.finfo(x.dtype).eps
    # Between the last entry that a hard choice takes and the next: where a cold threshold lies.
    nearest = x.gather(-1, k.long().clamp(max=x.shape[-1] - 1)[..., None])[..., 0]
    t = torch.minimum(torch.maximum(nearest, low), high)
    moved = high - low
    for _ in range(ROUNDS if seen else UNSEEN):
        p = torch.sigmoid(x - t[..., None])
        excess = p.sum(-1) - k
        done = (excess.abs() <= 4 * eps * count) | (high - low <= 4 * eps * t.abs()) | (count == 0)
        if seen and bool(done.all()):
            break
        low, high = torch.where(excess > 0, t, low), torch.where(excess > 0, high, t)
        step = excess / (p * (1 - p)).sum(-1)
        fast = (t + step > low) & (t + step < high) & (step.abs() < moved / 2)
        step = torch.where(fast, step, (low + high) / 2 - t)
        t, moved = torch.where(done, t, t + step), step.abs()
    return t


def clip_distribution(x: Tensor) -> Tensor:
    return x.clamp(0.0, 1.0)


def laplace_distribution(x: Tensor) -> Tensor:
    half = 0.5 * torch.exp(-x.abs())
    return torch.where(x <= 0, half, 1 - half)


def clip_density(x: Tensor) -> Tensor:
    """F' of clip; 0 at its two corners."""
    return ((x > 0) & (x < 1)).to(x.dtype)


def laplace_density(x: Tensor) -> Tensor:
    return 0.5 * torch.exp(-x.abs())


def logistic_density(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


Function = Callable[[Tensor], Tensor]

FAMILIES: dict[str, tuple[Function, Function, Callable[[Tensor, Tensor], Tensor]]] = {
    "sparsek": (clip_distribution, clip_density, clip_threshold),
    "lapsum": (laplace_distribution, laplace_density, laplace_threshold),
    "soft_topk": (torch.sigmoid, logistic_density, logistic_threshold),
}
"""``relax`` in the language -> F, F', the threshold."""
