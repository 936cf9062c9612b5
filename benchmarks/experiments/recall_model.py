"""Two layers of attention, nothing else: what Zoology trains on associative recall, with rotary positions.

The first layer can tell each token of the one before it, the second find the place that was told the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from patternc.runtime.compiled import Compiled
from patternc.runtime.learned.attention import LearnedAttention
from patternc.runtime.selectors import Inputs
from patternc.runtime.selectors.selection import Selection

from .rotary import rotated

Attention = Compiled | LearnedAttention | None
"""What a layer attends with; None: dense."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Of one layer in one call: q, k, v [B, H, N, D] as attention used them, the hidden states [B, N, W] beside
    them, and what was selected."""

    q: Tensor
    k: Tensor
    v: Tensor
    hidden: Tensor
    selections: Mapping[str, Selection]

    @property
    def inputs(self) -> Inputs:
        return Inputs.self_attention(self.hidden, self.q, self.k)


class Layer(nn.Module):
    """x + W_o attention(W_q n, W_k n, W_v n), n = norm(x)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.attention = heads, None
        self.norm = nn.RMSNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.attention: Attention

    def forward(self, x: Tensor) -> tuple[Tensor, Seen]:
        hidden = self.norm(x)
        batch, n, width = x.shape
        q, k, v = self.project(hidden).view(batch, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k = rotated(q), rotated(k)
        selections: Mapping[str, Selection] = {}
        if self.attention is None:
            found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif isinstance(self.attention, LearnedAttention):
            inputs = Inputs.self_attention(hidden, q, k)
            attended = self.attention(q, k, v, inputs=inputs, return_selections=True)
            found, selections = attended.out, attended.selections
        else:
            found = self.attention(q, k, v)
        x = x + self.out(found.transpose(1, 2).reshape(batch, n, width))
        return x, Seen(q, k, v, hidden, selections)


class RecallModel(nn.Module):
    """Gives logits [B, N, kinds] of values, and what each layer saw."""

    def __init__(self, vocabulary: int, kinds: int, *, width: int = 64, heads: int = 2, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, kinds, bias=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, list[Seen]]:
        x, seen = self.embedding(tokens), []
        for layer in self.layers:
            x, one = layer(x)
            seen.append(one)
        return self.head(self.norm(x)), seen

    def loss(self, tokens: Tensor, answers: Tensor) -> Tensor:
        logits, _ = self(tokens)
        return F.cross_entropy(logits.flatten(0, 1), answers.flatten())


@torch.no_grad()
def correct(logits: Tensor, answers: Tensor) -> tuple[int, int]:
    """(right answers, questions)."""
    asked = answers >= 0
    return int((logits.argmax(-1) == answers)[asked].sum()), int(asked.sum())
