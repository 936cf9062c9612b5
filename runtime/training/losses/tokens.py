"""``topk``: the scores of tokens rank as the columns of dense attention weigh.

For query i the model is softmax(s) over the tokens that it may see, and the target p_i its row of dense attention, the
mean over the heads of the group. The sum over queries needs no table of them: with the column mass c_j = sum_i p_ij,

    sum_i KL(p_i || softmax(s)) = sum_i (logsumexp of s over what i sees - entropy of p_i) - sum_j c_j s_j
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....patterns_dsl.syntax import Direction
from ...selectors.topk import TopK
from ..dense_maps import DenseAttention, normalised, over_groups


def token_loss(selector: TopK, dense: DenseAttention) -> Tensor:
    """The mean of these divergences over the queries that see two tokens or more and look at one of them."""
    scores = selector.scorer(dense.inputs)
    causal = selector.direction is Direction.CAUSAL
    seen = _seen(dense, causal)
    column, looks, entropy = _columns(dense, scores.shape[1], seen)
    exists = dense.inputs.key.exists()[:, None]
    scores = scores.to(column.dtype)
    hidden = scores.masked_fill(~exists, -torch.inf)
    normaliser = torch.logcumsumexp(hidden, -1) if causal else torch.logsumexp(hidden, -1, keepdim=True)
    # Rows that count see a token, so that what is left out here is never a number that matters.
    total = torch.where(looks, normaliser, 0.0).sum() - entropy - torch.where(exists, column * scores, 0.0).sum()
    return total / looks.sum().clamp_min(1)


def _seen(dense: DenseAttention, causal: bool) -> Tensor:
    """int64 [B, 1, Nq]: how many tokens each query may see."""
    keys = dense.inputs.key.counts()[:, None, None]
    place = torch.arange(dense.q.shape[2], device=dense.q.device)
    return torch.minimum(place + 1, keys) if causal else keys.expand(-1, 1, len(place))


def _columns(dense: DenseAttention, groups: int, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(c [B, G, Nk]; which queries count, bool [B, G, Nq]; the sum of their entropies), of rows that add up to 1."""
    column: Tensor | None = None
    entropy: Tensor | None = None
    looks, start = [], 0
    for weights in dense.rows(1):
        rows = normalised(over_groups(weights[:, :, :, 0], groups))
        mine = (rows.sum(-1) > 0) & (seen[..., start : start + rows.shape[2]] > 1)
        rows = rows.masked_fill(~mine[..., None], 0.0)
        column = rows.sum(2) if column is None else column + rows.sum(2)
        spread = -torch.xlogy(rows, rows).sum()
        entropy = spread if entropy is None else entropy + spread
        looks.append(mine)
        start += rows.shape[2]
    assert column is not None and entropy is not None
    return column, torch.cat(looks, -1), entropy
