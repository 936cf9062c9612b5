"""A small encoder-decoder (Vaswani et al. 2017, normalised before each part), its cross attention perhaps a pattern."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.learned.attention import LearnedAttention
from patternc.runtime.selectors import Inputs
from patternc.runtime.selectors.selection import LevelSelection
from patternc.runtime.training import DenseAttention

from .subwords import BEGIN, END, PAD, Batch


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Of one call under a pattern: the levels, and the attention that all of them stand for."""

    selection: LevelSelection
    dense: DenseAttention


class Attention(nn.Module):
    """Multi-head attention of x [B, N, W] over y [B, M, W], of which the first ``lengths`` exist.

    ``pattern``: a learned layer with granularity instead of all keys, which decides for a block of queries when its
    first one arrives.
    """

    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.pattern: LearnedAttention | None = None

    def forward(self, x: Tensor, y: Tensor, lengths: Tensor | None) -> tuple[Tensor, Read | None]:
        q, k, v = (self._heads(part) for part in (self.query(x), self.key(y), self.value(y)))
        read = None
        if self.pattern is None:
            mask = None if lengths is None else torch.arange(y.shape[1]) < lengths[:, None, None, None]
            found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
        else:
            found, read = self._selected(self.pattern, q, k, v, lengths)
        return self.out(found.transpose(1, 2).flatten(2)), read

    def _selected(
        self, pattern: LearnedAttention, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Read]:
        inputs = Inputs.cross(q=q, k=k, key_lengths=lengths, arriving=True)
        attended = pattern(q, k, v, inputs=inputs, return_selections=True)
        selection = attended.selections["detail"]
        assert isinstance(selection, LevelSelection)
        return attended.out, Read(selection, DenseAttention(q, k, inputs, Direction.CROSS))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Self attention, attention over the source if it is a decoder's, and a network of one hidden layer."""

    def __init__(self, width: int, heads: int, dropout: float, *, decoder: bool) -> None:
        super().__init__()
        self.own = Attention(width, heads, causal=decoder)
        self.cross = Attention(width, heads) if decoder else None
        self.network = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if decoder else 2))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, lengths: Tensor | None, memory: Tensor | None = None, memory_lengths: Tensor | None = None
    ) -> tuple[Tensor, Read | None]:
        """In a decoder ``lengths`` is None: behind the diagonal nothing is read, and padding stands there."""
        normed, read = self.norms[0](x), None
        x = x + self.dropout(self.own(normed, normed, lengths)[0])
        if self.cross is not None and memory is not None:
            found, read = self.cross(self.norms[1](x), memory, memory_lengths)
            x = x + self.dropout(found)
        return x + self.dropout(self.network(self.norms[-1](x))), read


class Translator(nn.Module):
    """One embedding for both languages and for the output (Press and Wolf 2017); sinusoidal positions."""

    def __init__(
        self,
        vocabulary: int,
        *,
        width: int = 128,
        heads: int = 4,
        layers: tuple[int, int] = (2, 3),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.encoder, self.decoder = (
            nn.ModuleList(Block(width, heads, dropout, decoder=decoder) for _ in range(layers[decoder]))
            for decoder in (False, True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor, lengths: Tensor) -> Tensor:
        x = self._embedded(source)
        for block in self.encoder:
            x, _ = block(x, lengths)
        return self.norms[0](x)

    def decode(self, given: Tensor, memory: Tensor, lengths: Tensor) -> tuple[Tensor, list[Read]]:
        """Logits [B, N, vocabulary] of what follows each token, and what each cross attention read."""
        x, reads = self._embedded(given), []
        for block in self.decoder:
            x, read = block(x, None, memory, lengths)
            reads += [] if read is None else [read]
        return self.norms[1](x) @ self.embedding.weight.T, reads

    def forward(self, batch: Batch) -> tuple[Tensor, list[Read]]:
        memory = self.encode(batch.source, batch.source_lengths)
        return self.decode(batch.given, memory, batch.source_lengths)

    @torch.no_grad()
    def translate(self, source: Tensor, lengths: Tensor, longest: int) -> list[list[int]]:
        """The likeliest next token, one after the other, until END: [B] sentences of at most ``longest`` tokens."""
        memory, given = self.encode(source, lengths), torch.full((len(source), 1), BEGIN)
        ended = torch.zeros(len(source), dtype=torch.bool)
        while given.shape[1] <= longest and not ended.all():
            logits, _ = self.decode(given, memory, lengths)
            following = logits[:, -1].argmax(-1).masked_fill(ended, PAD)
            ended |= following == END
            given = torch.cat([given, following[:, None]], 1)
        return [[token for token in row if token not in (PAD, BEGIN, END)] for row in given.tolist()]

    def _embedded(self, tokens: Tensor) -> Tensor:
        n, width = tokens.shape[1], self.embedding.embedding_dim
        rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
        angles = torch.arange(n)[:, None] * rates
        positions = torch.cat([angles.sin(), angles.cos()], -1)
        return self.dropout(self.embedding(tokens) * math.sqrt(width) + positions)
