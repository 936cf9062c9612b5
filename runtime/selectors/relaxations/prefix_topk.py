"""The k best of every prefix, without a table of prefixes.

A prefix only grows: a token that k better ones have displaced never returns. So one number for each token says all:
where in the sequence it is dropped.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..layer import slots
from .soft_topk import hard_topk


def dropped_at(scores: Tensor, k: int) -> Tensor:
    """int64 [..., n]: the least p such that k tokens of 0..p are better than token j; n where there is none.

    scores [..., n]; of equal ones the earlier is better; -inf is never among the best and counts as dropped at its own
    place, as is everything when k = 0. Token j is among the k best of the prefix 0..i exactly when
    j <= i < dropped_at[j]. O(n log n) time, O(n) memory: a k-th least place of the r best, for every r, is found bit by
    bit (a wavelet matrix, Claude and Navarro 2012).
    """
    n = scores.shape[-1]
    own = torch.arange(n, device=scores.device).expand(scores.shape)
    if k == 0 or n == 0:
        return own.clone()
    ordered = scores.detach().sort(dim=-1, descending=True, stable=True)
    places = ordered.indices  # the place of the best token, of the second best, ...
    least = _kth_least_of_prefixes(places, k)
    found = torch.zeros_like(places).scatter(-1, places, least)
    return torch.maximum(found, own).where(~scores.isneginf(), own)


def dropped_later(scores: Tensor, k: int, first: int) -> Tensor:
    """``dropped_at`` where only the prefixes 0..i with i >= ``first`` are asked about: 0 for a token that none of them
    has among its best. O(n) time beside what the tokens from ``first`` on and the k best before them cost."""
    if first <= k:
        return dropped_at(scores, k)
    n = scores.shape[-1]
    if first == n - 1:
        return torch.where(hard_topk(scores, k), n, 0)
    best = slots(hard_topk(scores[..., :first], k), k)  # -1: -inf is never among the best
    later = torch.arange(first, n, device=scores.device).expand(*best.shape[:-1], -1)
    places = torch.cat([best, later], -1)
    among = scores.detach().gather(-1, places.clamp_min(0)).masked_fill(places < 0, -torch.inf)
    dropped = dropped_at(among, k) - k + first
    found = torch.zeros(*scores.shape[:-1], n + 1, dtype=torch.int64, device=scores.device)
    return found.scatter(-1, places.where(places >= 0, n), dropped)[..., :n]


def _kth_least_of_prefixes(places: Tensor, k: int) -> Tensor:
    """For a permutation [..., n]: at r the k-th least of its first r elements, n where r < k."""
    n = places.shape[-1]
    left = torch.zeros_like(places)
    right = torch.arange(n, device=places.device).expand(places.shape)
    wanted = torch.full_like(places, k - 1)
    answer = torch.zeros_like(places)
    level = places
    for bit in reversed(range(max(1, (n - 1).bit_length()))):
        one = (level >> bit) & 1
        zeros = torch.nn.functional.pad((1 - one).cumsum(-1), (1, 0))  # how many are 0 before each place
        total = zeros[..., -1:]
        left_zeros, right_zeros = zeros.gather(-1, left), zeros.gather(-1, right)
        here = right_zeros - left_zeros
        low = wanted < here
        answer = torch.where(low, answer, answer | (1 << bit))
        wanted = torch.where(low, wanted, wanted - here)
        left, right = (
            torch.where(low, bound_zeros, total + bound - bound_zeros)
            for bound, bound_zeros in ((left, left_zeros), (right, right_zeros))
        )
        index = torch.arange(n, device=places.device) - zeros[..., :-1]
        level = torch.zeros_like(level).scatter(-1, torch.where(one == 1, total + index, zeros[..., :-1]), level)
    enough = torch.arange(n, device=places.device) >= k
    return torch.where(enough, answer, n)
