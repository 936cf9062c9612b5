"""``topk_blocks``: k key blocks for each block of queries (Gao et al. 2024, SeerAttention; Lu et al. 2025, MoBA)."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .gates import log_gate, soft_log_gate
from .inputs import Inputs
from .layer import diagonal, pair_counts, slots
from .relaxations.chances import chances
from .relaxations.soft_topk import check_relax, hard_topk
from .selection import BlockSelection


class TopKBlocks(nn.Module):
    """The k best of the blocks that a block of queries may see: in a causal pattern the past ones and its own.

    ``forced`` blocks are among the k whatever their score: the first of the sequence, and the queries' own. Backwards
    the gates have the gradient of the soft top-k of each row, of scores standardised over the row. ``soft``: that soft
    top-k itself, for every block with p > 0. In a causal pattern the choice is made when the first token of the block
    of queries arrives.

    ``probes``: in training, so many blocks of each row that are not chosen are drawn at random, and told what opening
    them would do: the gates alone have no gradient where they are closed.
    """

    def __init__(
        self,
        direction: Direction,
        scorer: nn.Module,
        *,
        k: int,
        block: int = 64,
        forced: Collection[str] = ("first", "diagonal"),
        relax: str = "soft_topk",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        check_relax(relax)
        check_forced(forced, k, direction)
        self.direction, self.scorer, self.k, self.block = direction, scorer, k, block
        self.forced, self.relax, self.temperature = tuple(forced), relax, temperature
        self.probes = 0

    def forward(self, inputs: Inputs, *, soft: bool = False, first: int = 0) -> BlockSelection:
        """Of the queries from ``first`` on, a multiple of the block."""
        inputs.fit(self.direction, "topk_blocks")
        row = first // self.block
        scores = self.scorer(inputs, self.block, self.direction, row)
        sizes = pair_counts(inputs, self.block, self.direction, row)
        eligible = (sizes > 0).expand(scores.shape)
        forced = self.forced_blocks(scores, row) & eligible
        p = chances(
            scores, self.k, eligible=eligible, forced=forced, relax=self.relax, temperature=self.temperature, soft=soft
        )
        hard = hard_topk(scores.masked_fill(forced, torch.inf), self.k, eligible=eligible)
        chosen = p > 0 if soft else hard
        gate = soft_log_gate(p) if soft else log_gate(chosen, p)
        blocks = slots(chosen, scores.shape[-1] if soft else self.k)
        found = gate.gather(-1, blocks.clamp_min(0)).masked_fill(blocks < 0, -torch.inf)
        density = (chosen * sizes).sum((-1, -2)) / sizes.sum((-1, -2)).clamp_min(1)
        probed = probe_gate = None
        if self.training and self.probes and not self.scorer.frozen:
            drawn = torch.rand_like(scores).masked_fill(chosen | ~eligible, -torch.inf)
            probed = slots(hard_topk(drawn, self.probes), min(self.probes, scores.shape[-1]))
            probe_gate = (p - p.detach()).gather(-1, probed.clamp_min(0)).masked_fill(probed < 0, 0.0)
        return BlockSelection(
            self.direction, self.block, scores.shape[-1], blocks, found, density, probed, probe_gate, first
        )

    def forced_blocks(self, scores: Tensor, first: int = 0) -> Tensor:
        """bool [query blocks, key blocks], as the last dimensions of scores, whose rows begin with the block ``first``:
        what is chosen whatever its score."""
        forced = torch.zeros(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        if "first" in self.forced:
            forced[:, :1] = True
        if "diagonal" in self.forced:
            forced |= diagonal(scores, first)
        return forced


def check_forced(forced: Collection[str], k: int, direction: Direction) -> None:
    """Raises ArgumentError for what cannot be forced, and where k has no room for it."""
    if strange := set(forced) - {"first", "diagonal"}:
        raise ArgumentError("forced", ", ".join(sorted(strange)), "choose among first, diagonal")
    if "diagonal" in forced and direction is Direction.CROSS:
        raise ArgumentError(
            "forced", "diagonal in a cross pattern", "queries have no place among the keys: leave it out"
        )
    if k < max(1, len(set(forced))):
        raise ArgumentError("k", f"{k} with {len(set(forced))} forced", "choose a larger k, or force less")
