"""``topk``: a set of k tokens, by scores of the tokens alone (Lou et al. 2024, SparseK, section 3).

A causal pattern takes the k best of every prefix: query i reads the k best of 0..i. A token that was displaced does not
return, so that the whole choice is one number for each token (``prefix_topk.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .gates import log_gate, soft_log_gate
from .inputs import HIDDEN, Inputs
from .layer import allowed_pairs
from .relaxations.chances import chances
from .relaxations.prefix_topk import dropped_later
from .relaxations.soft_topk import check_relax, hard_topk
from .selection import TokenSelection


class TokenScorer(nn.Module):
    """One linear score of the key's hidden state for each group."""

    frozen = False
    reads = HIDDEN

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, groups)

    def forward(self, inputs: Inputs) -> Tensor:
        """[B, G, Nk]."""

        def scores(known: int) -> Tensor:
            found: Tensor = self.score(inputs.key.needs("hidden", "topk", self.score.weight.dtype, known))
            return found

        return inputs.key.made("scores", 1, scores).mT


class TopK(nn.Module):
    """Hard: the k best, and backwards the gradient of the soft top-k over the whole sequence, of scores standardised
    over it. ``soft``: that soft top-k itself, its log as log-gates, for every token with p > 0."""

    def __init__(
        self, direction: Direction, scorer: nn.Module, *, k: int, relax: str = "soft_topk", temperature: float = 1.0
    ) -> None:
        super().__init__()
        check_relax(relax)
        self.direction, self.scorer, self.k, self.relax, self.temperature = direction, scorer, k, relax, temperature

    def forward(self, inputs: Inputs, *, soft: bool = False, first: int = 0) -> TokenSelection:
        """Of the queries from ``first`` on."""
        inputs.fit(self.direction, "topk")
        causal = self.direction is Direction.CAUSAL
        if soft and causal:
            remedy = "use the hard choice; its gradient is soft, its values see no later token"
            raise ArgumentError("soft", "a soft top-k over the sequence, in a causal pattern, leaks the future", remedy)
        scores = self.scorer(inputs)
        eligible = inputs.key.exists()[:, None].expand(scores.shape)
        p = chances(scores, self.k, eligible=eligible, relax=self.relax, temperature=self.temperature, soft=soft)
        queries = inputs.query.counts()[:, None, None]
        place = torch.arange(scores.shape[-1], device=scores.device)
        if causal:
            until = dropped_later(scores.masked_fill(~eligible, -torch.inf), self.k, first)
            until = torch.minimum(until, queries)
            until = until.where(until > place.clamp_min(first), 0)
        else:
            chosen = p > 0 if soft else hard_topk(scores, self.k, eligible=eligible)
            until = torch.where(chosen, queries, 0)
            until = until.where(until > first, 0)
        gate = soft_log_gate(p) if soft else log_gate(until > 0, p)
        read = (until - (place.clamp_min(first) if causal else first)).clamp_min(0)
        density = read.sum(-1) / allowed_pairs(inputs, self.direction, first).clamp_min(1)[:, None]
        return TokenSelection(self.direction, until, gate, None, None, density)
