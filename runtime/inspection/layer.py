"""What one learned layer read in one text, head by head. Some queries at a time: never every query by every key."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...patterns_dsl.syntax import Direction
from ..learned.attention import LearnedAttention
from ..learned.bind import Tokens
from ..learned.pricing.dispatch import Dispatch
from ..learned.reference import ReadPairs, read_pairs
from ..models.calls.watching import Watched
from ..selectors.selection import TermGate
from .cells import Cells

AT_ONCE = 1 << 23
"""Pairs of all heads that are written out at once."""

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
    ``pairs`` bool [P, P], of the first tokens: what some head read, alone or in a summary. ``dispatch``: which way
    selections ran."""

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
def read_layer(index: int, name: str, learned: LearnedAttention, watched: Watched, front: int) -> LayerReading:
    """Of a call with one text and without a cache; ``pairs`` of the first ``front`` tokens. Memory for ``AT_ONCE``
    pairs, or those of one query."""
    assert watched.selections is not None and watched.dispatch is not None
    causal = learned.pattern.direction is Direction.CAUSAL
    count = watched.q.shape[2]
    counts = _counted(learned, watched, front, count)
    place = torch.arange(count, device=watched.q.device)
    readers = count - place if causal else torch.full_like(place, count)
    uses = counts.by_key / readers  # [heads, N]
    gates = {
        source: tuple(gate.log_gate.exp().tolist())
        for source, gate in watched.selections.items()
        if isinstance(gate, TermGate)
    }
    return LayerReading(
        index,
        name,
        learned.pattern.name,
        tuple(_heads(counts, int(readers.sum()), uses)),
        gates,
        uses.mean(0).cpu(),
        counts.cells.shares().cpu(),
        counts.pairs.cpu(),
        watched.dispatch,
    )


def front_pairs(learned: LearnedAttention, watched: Watched, front: int) -> Tensor:
    """``pairs`` of a ``LayerReading`` alone, of which its first queries tell all."""
    return _counted(learned, watched, front, front).pairs.cpu()


@torch.no_grad()
def _counted(learned: LearnedAttention, watched: Watched, front: int, queries: int) -> _Counts:
    """Of so many queries from the first on."""
    _, heads, count, _ = watched.q.shape
    counts = _Counts.none(heads, count, front, watched.q.device)
    rows = max(1, AT_ONCE // (heads * count))
    for start in range(0, queries, rows):
        counts.add(_read(learned, watched, range(start, min(queries, start + rows))), start)
    return counts


def _read(learned: LearnedAttention, watched: Watched, queries: range) -> ReadPairs:
    assert watched.selections is not None
    inputs = watched.inputs
    tokens = Tokens(watched.k, watched.k, inputs.query.counts(), inputs.key.counts())
    return read_pairs(learned.pattern.bound, watched.selections, watched.q, tokens, queries)


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """What was read so far: int64 ``every`` [heads], pairs that are read one by one, ``by_key`` [heads, N], those that
    were chosen, and ``summaries`` [heads]; ``cells`` and ``pairs`` for what ``LayerReading`` has of them."""

    every: Tensor
    by_key: Tensor
    summaries: Tensor
    cells: Cells
    pairs: Tensor

    @classmethod
    def none(cls, heads: int, count: int, front: int, device: torch.device) -> _Counts:
        every, summaries = (torch.zeros(heads, dtype=torch.int64, device=device) for _ in range(2))
        by_key = torch.zeros(heads, count, dtype=torch.int64, device=device)
        pairs = torch.zeros(front, front, dtype=torch.bool, device=device)
        return cls(every, by_key, summaries, Cells.none(heads, count, min(CELLS, count), device), pairs)

    def add(self, found: ReadPairs, start: int) -> None:
        """The queries from ``start`` on."""
        every, front = found.every[0], len(self.pairs)
        self.every.add_(every.sum((1, 2)))
        self.by_key.add_(found.chosen[0].sum(1))
        self.summaries.add_(found.summaries[0].sum(1))
        self.cells.add(every, start)
        if start < front:
            seen = (every | found.summed[0])[:, : front - start, :front].any(0)
            self.pairs[start : start + len(seen)] = seen


def _heads(counts: _Counts, total: int, uses: Tensor) -> Iterator[HeadReading]:
    for head, by_key in enumerate(counts.by_key):
        entropy = _entropy(by_key)
        shares, order = uses[head].sort(descending=True, stable=True)
        best = [
            ChosenToken(int(place), float(share))
            for share, place in zip(shares[:MOST], order[:MOST], strict=True)
            if share > 0
        ]
        yield HeadReading(
            head,
            int(counts.every[head]) / total,
            int(by_key.sum()) / total,
            int(counts.summaries[head]) / len(by_key),
            entropy,
            None if entropy is None or len(by_key) < 2 else entropy / math.log(len(by_key)),
            tuple(best),
        )


def _entropy(counts: Tensor) -> float | None:
    if not bool(counts.any()):
        return None
    p = counts.double() / counts.sum()
    return abs(float(torch.xlogy(p, p).sum()))  # no -0.0
