"""``topk_keys``: k keys for each query, by an indexer that a tile of queries shares (DeepSeek-AI 2025, section 2.1).

A causal tile scores keys by what is known when its first token arrives, and each of its queries takes the k best keys
up to itself. As the queries of a tile go on, new keys displace others, which do not return: the keys of a tile are one
table with the query at which each is dropped. Scores are made for a few tiles at a time, and again in backward; the
table of every tile by every key is never held.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from .gates import log_gate
from .inputs import Inputs
from .layer import again, allowed_pairs, slots
from .relaxations.chances import chances
from .relaxations.prefix_topk import dropped_at
from .relaxations.soft_topk import check_relax, hard_topk
from .selection import KeySelection
from .topk_blocks import check_forced

LARGEST_TABLE = 1 << 24
"""Numbers of the indexer's heads that are held at once, for each batch element."""


class KeyScorer(Protocol):
    """Scores of keys, a run of tiles at a time; ``heads``: how many numbers each score takes in the making."""

    heads: int

    def prepare(self, inputs: Inputs, tile: int, direction: Direction, first: int = 0) -> Any:
        """What the scores of the tiles from ``first`` on are made from."""

    def scores(self, prepared: Any, start: int, stop: int, key: int = 0) -> Tensor:
        """[B, 1, tiles, Nk - key] of the tiles start..stop - 1, counted from the first that was prepared, and the keys
        from ``key`` on."""
        ...


class TopKKeys(nn.Module):
    """``forced``: the first key of the sequence, and each query's own; both count. Backwards the gates have the
    gradient of the soft top-k of each tile over the keys up to its end, of scores standardised over them."""

    def __init__(
        self,
        direction: Direction,
        scorer: KeyScorer,
        *,
        k: int,
        tile: int = 64,
        forced: Collection[str] = ("diagonal",),
        relax: str = "soft_topk",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        check_relax(relax)
        check_forced(forced, k, direction)
        self.scorer: KeyScorer = scorer
        self.direction, self.k, self.tile = direction, k, tile
        self.forced, self.relax, self.temperature = tuple(forced), relax, temperature

    def forward(self, inputs: Inputs, first: int = 0) -> KeySelection:
        """Of the queries from ``first`` on, a multiple of the tile."""
        inputs.fit(self.direction, "topk_keys")
        known = first // self.tile
        prepared = self.scorer.prepare(inputs, self.tile, self.direction, known)
        (_, nq, _), (_, nk, _) = inputs.query.shape, inputs.key.shape
        tiles = max(1, -(-nq // self.tile) - known)
        at_once = max(1, LARGEST_TABLE // max(1, nk * self.scorer.heads))
        # Recomputed in backward, so that what is kept grows with the choice and not with the scores.
        parts = [
            again(self._part, prepared, inputs, known, start, min(tiles, start + at_once))
            for start in range(0, tiles, at_once)
        ]
        keys, until, gate = (torch.cat(columns, 2) for columns in zip(*parts, strict=True))
        allowed = allowed_pairs(inputs, self.direction, first).clamp_min(1)
        density = self._pairs(keys, until, inputs, first) / allowed[:, None]
        return KeySelection(self.direction, self.tile, nk, "diagonal" in self.forced, keys, until, gate, density, first)

    def _part(self, prepared: Any, inputs: Inputs, known: int, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """(keys, until, log-gates) of a run of tiles, counted behind those that are ``known``."""
        scores = self._scores(prepared, inputs, known, start, stop)
        place = torch.arange(scores.shape[-1], device=scores.device)
        # The first query of each tile.
        first = torch.arange(known + start, known + stop, device=scores.device)[:, None] * self.tile
        eligible = inputs.key.exists()[:, None, None].expand(scores.shape)
        if self.direction is Direction.CAUSAL:
            eligible = eligible & (place < first + self.tile)
        elif self.tile == 1 and "diagonal" in self.forced:
            eligible = eligible & (place != first)  # a query's own key is there already
        scores = scores.masked_fill(~eligible, -torch.inf)
        forced = eligible & (place == 0) if "first" in self.forced else torch.zeros_like(eligible)
        ranked = scores.masked_fill(forced, torch.inf)
        others = self.k - ("diagonal" in self.forced)
        if self.direction is Direction.CAUSAL:
            keys, until = self._causal(ranked, first, others)
        else:
            keys = slots(hard_topk(ranked, others, eligible=eligible), min(others, scores.shape[-1]))
            until = (first + self.tile).expand(keys.shape)
        until = torch.minimum(until, inputs.query.counts()[:, None, None, None])
        until = until.masked_fill((keys < 0) | (until <= first), 0)
        p = chances(
            scores, others, eligible=eligible, forced=forced, relax=self.relax, temperature=self.temperature
        ).gather(-1, keys.clamp_min(0))
        return keys.where(until > 0, -1), until, log_gate(until > 0, p)

    def _scores(self, prepared: Any, inputs: Inputs, known: int, start: int, stop: int) -> Tensor:
        """As those of the scorer. What a tile of a text that grows is known by, once it has begun, stays as it is."""
        if inputs.key.kept is None or torch.is_grad_enabled() or stop - start > 1:
            return self.scorer.scores(prepared, start, stop)

        def scores(key: int) -> Tensor:
            return self.scorer.scores(prepared, start, stop, key)[:, 0].mT

        return inputs.key.made("scores", 1, scores, query=(known + start) * self.tile).mT[:, None]

    def _causal(self, scores: Tensor, first: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Keys of each tile and the query at which each is dropped.

        Slots 0..k - 1 hold the best keys before the tile's first query (or up to it), the next ones the keys that
        arrive within the tile. A query at place r of the tile chooses among the slots 0..k + r - 1.
        """
        own = 0 if "diagonal" in self.forced else 1  # whether a query finds its own key among the others
        place = torch.arange(scores.shape[-1], device=scores.device)
        k = min(k, scores.shape[-1])
        base = slots(hard_topk(scores, k, eligible=place < first + own), k)
        arriving = first + own + torch.arange(self.tile - 1, device=scores.device)
        arriving = arriving.masked_fill(arriving >= scores.shape[-1], -1).expand(*base.shape[:-1], -1)
        keys = torch.cat([base, arriving], -1)
        candidates = scores.detach().gather(-1, keys.clamp_min(0)).masked_fill(keys < 0, -torch.inf)
        until = torch.minimum(first + dropped_at(candidates, k) - k + 1, first + self.tile)
        start = torch.maximum(keys + 1 - own, first)
        return keys.where(until > start, -1), until

    def _pairs(self, keys: Tensor, until: Tensor, inputs: Inputs, begin: int) -> Tensor:
        """int64 [B, G]: how many pairs the table holds, with the diagonal where it is forced."""
        diagonal = "diagonal" in self.forced
        first = begin + torch.arange(keys.shape[2], device=keys.device)[:, None] * self.tile
        counts = (inputs.query.counts()[:, None] - begin).clamp_min(0)
        if self.direction is Direction.CAUSAL:
            start = torch.maximum(keys + 1 if diagonal else keys, first)
            return (until - start).clamp_min(0).where(keys >= 0, 0).sum((-1, -2)) + counts * diagonal
        pairs = (until - first).clamp_min(0).where(keys >= 0, 0).sum((-1, -2))
        if diagonal:  # but for those whose own key the table holds
            pairs = pairs + counts - ((keys >= first) & (keys < until)).sum((-1, -2))
        return pairs
