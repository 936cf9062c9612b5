"""What takes part in the recall experiment: patterns of one budget, and oracles that bound what can be learned."""

from __future__ import annotations

import torch
from torch import Tensor

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.learned.attention import LearnedAttention
from patternc.runtime.selectors import Inputs
from patternc.runtime.selectors.dense import written_out
from patternc.runtime.selectors.scoring.indexer import Indexer
from patternc.runtime.training import DenseAttention, tile_attention

from .recall_model import Layer, RecallModel, Seen

PATTERNS = """
pattern recall(w: int = 2, k: int = 24, tile: int = 1) causal {
    learn hot = topk_keys(k = k, tile = tile, forced = [])
    step local(w) | select(hot)

    prove nonempty
    prove keys <= w + k
}

pattern near(w: int = 26) causal {
    step local(w)

    prove nonempty
    prove keys <= w
}
"""


MODULE = pc.loads(PATTERNS)
SHARE = 0.1
"""Of the causal pairs, what each subject may read."""


def budget(n: int, share: float) -> int:
    """The most keys per query whose causal pairs are at most ``share`` of all: a query has no more than precede it."""
    total = n * (n + 1) / 2
    return max(k for k in range(1, n + 1) if k * n - k * (k - 1) / 2 <= share * total)


class DenseScores:
    """An oracle: dense attention of the layer, summed over its heads. No selector can know it without computing it."""

    frozen, heads = True, 4

    def prepare(self, inputs: Inputs, tile: int, direction: Direction, first: int = 0) -> Tensor:
        assert inputs.query.heads is not None and inputs.key.heads is not None
        dense = DenseAttention(inputs.query.heads, inputs.key.heads, inputs, direction)
        return torch.cat(list(tile_attention(dense, tile)), 2)[:, :, first:]

    def scores(self, prepared: Tensor, start: int, stop: int, key: int = 0) -> Tensor:
        return prepared[:, :, start:stop, key:]


class Answers:
    """An oracle: the place that holds the answer, which the task tells (``places`` [B, N]); the rest is left to chance,
    the first keys of the sequence."""

    frozen, heads = True, 1

    def __init__(self) -> None:
        self.places = torch.empty(0, 0, dtype=torch.long)

    def prepare(self, inputs: Inputs, tile: int, direction: Direction, first: int = 0) -> Tensor:
        assert tile == 1 and first == 0
        n = self.places.shape[1]
        found = torch.zeros(*self.places.shape, n)
        return found.scatter(-1, self.places.clamp_min(0)[..., None], 1.0) * (self.places >= 0)[..., None]

    def scores(self, prepared: Tensor, start: int, stop: int, key: int = 0) -> Tensor:
        return prepared[:, None, start:stop, key:]


def learned(model: RecallModel, pattern: pc.Pattern, *, random: int | None = None, scorer: object = None) -> None:
    """Gives each layer a selector of its own; the indexer has 4 heads of 32, as the model is small."""
    for number, layer in enumerate(model.layers):
        assert isinstance(layer, Layer)
        width, heads = layer.out.in_features, layer.heads
        seed = None if random is None else random + 1000 * number
        attention = pc.compile(pattern, heads=heads, head_dim=width // heads, hidden_size=width, random=seed)
        selector = attention.learned.selectors["hot"]
        if scorer is not None:
            del selector.scorer
            selector.scorer = scorer
        elif random is None:
            selector.scorer = Indexer(width, heads=4, head_dim=32)
        layer.attention = attention


def positional(model: RecallModel, pattern: pc.Pattern) -> None:
    for layer in model.layers:
        assert isinstance(layer, Layer)
        layer.attention = pc.compile(pattern, head_dim=layer.out.in_features // layer.heads)


@torch.no_grad()
def density(layer: Layer, seen: Seen) -> float:
    """Pairs that the layer read, each once, as a share of the causal ones."""
    n, attention = seen.q.shape[2], layer.attention
    if attention is None:
        return 1.0
    if isinstance(attention, LearnedAttention):
        (term,), _ = written_out(seen.selections["hot"], seen.inputs, seen.k, seen.v, layer.heads)
        window = MODULE["near"].bind(w=dict(attention.pattern.bound.arguments)["w"])
        pairs = term.pairs | window.mask(n)
    else:
        pairs = MODULE["near"].bind(w=budget(n, SHARE)).mask(n)
    return pairs.double().mean().item() * n * 2 / (n + 1)
