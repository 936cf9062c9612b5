"""What one learned layer read in one text, head by head."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...patterns_dsl.syntax import Direction
from ..learned.attention import LearnedAttention
from ..learned.bind import Tokens
from ..learned.dispatch import Dispatch
from ..learned.reference import ReadPairs, read_pairs
from ..models.watching import Watched
from ..selectors.selection import TermGate

MOST = 8
"""Tokens that are named of each head."""

CELLS = 64
"""Of a map, on each side."""


@dataclass(frozen=True, slots=True)
class ChosenToken:
    """``share`` of the queries that may read the token and chose it."""

    position: int
    share: float


@dataclass(frozen=True, slots=True)
class HeadReading:
    """``density``: the share of the allowed pairs that are read one by one; ``chosen``: that are read by choice alone,
    not held by a term without selections nor forced. ``summaries``: how many a query reads, on average. ``entropy``:
    of which keys are chosen, by use, in nats, and ``evenness``, in [0, 1], of the greatest that is possible; None where
    none is."""

    head: int
    density: float
    chosen: float
    summaries: float
    entropy: float | None
    evenness: float | None
    tokens: tuple[ChosenToken, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LayerReading:
    """``uses`` [N]: of each token the share of queries and heads that chose it; ``maps`` [heads, cells, cells]: the
    share of pairs of each cell that are read, queries downwards. ``gates``: the factors of each gated term by head.
    ``pairs`` bool [N, N]: what some head read, alone or in a summary. ``dispatch``: which way selections ran."""

    index: int
    name: str
    pattern: str
    heads: tuple[HeadReading, ...]
    gates: dict[str, tuple[float, ...]]
    uses: Tensor
    maps: Tensor
    pairs: Tensor
    dispatch: Dispatch


@torch.no_grad()
def read_layer(index: int, name: str, learned: LearnedAttention, watched: Watched) -> LayerReading:
    """Of a call with one text and without a cache. O(heads N^2) memory."""
    assert watched.selections is not None and watched.dispatch is not None
    inputs, causal = watched.inputs, learned.pattern.direction is Direction.CAUSAL
    tokens = Tokens(watched.k, watched.k, inputs.query.counts(), inputs.key.counts())
    found = read_pairs(learned.pattern.bound, watched.selections, watched.q, tokens)
    count = watched.q.shape[2]
    allowed = torch.ones(count, count, dtype=torch.bool)
    allowed = (allowed.tril() if causal else allowed).to(watched.q.device)
    readers = allowed.sum(0)
    uses = found.chosen[0].sum(1) / readers  # [heads, N]
    gates = {
        source: tuple(gate.log_gate.exp().tolist())
        for source, gate in watched.selections.items()
        if isinstance(gate, TermGate)
    }
    every = found.every[0]
    return LayerReading(
        index,
        name,
        learned.pattern.name,
        tuple(_heads(found, allowed, uses)),
        gates,
        uses.mean(0).cpu(),
        F.adaptive_avg_pool2d(every[:, None].float(), min(CELLS, count))[:, 0].cpu(),
        (every | found.summed[0]).any(0).cpu(),
        watched.dispatch,
    )


def _heads(found: ReadPairs, allowed: Tensor, uses: Tensor) -> Iterator[HeadReading]:
    total = int(allowed.sum())
    for head, (every, chosen, summaries) in enumerate(
        zip(found.every[0], found.chosen[0], found.summaries[0], strict=True)
    ):
        by_key = chosen.sum(0)
        entropy = _entropy(by_key)
        shares, order = uses[head].sort(descending=True, stable=True)
        best = [
            ChosenToken(int(place), float(share))
            for share, place in zip(shares[:MOST], order[:MOST], strict=True)
            if share > 0
        ]
        yield HeadReading(
            head,
            int(every.sum()) / total,
            int(chosen.sum()) / total,
            float(summaries.double().mean()),
            entropy,
            None if entropy is None or len(by_key) < 2 else entropy / math.log(len(by_key)),
            tuple(best),
        )


def _entropy(counts: Tensor) -> float | None:
    if not bool(counts.any()):
        return None
    p = counts.double() / counts.sum()
    return abs(float(torch.xlogy(p, p).sum()))  # no -0.0
