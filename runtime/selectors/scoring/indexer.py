"""The lightning indexer of DeepSeek sparse attention: how much a tile of queries wants each key."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....patterns_dsl.syntax import Direction
from ..inputs import HIDDEN, Inputs
from .block_scorers import query_blocks
from .turning import turned

HEADS, HEAD_DIM = 64, 128

_BASE = 10_000.0
"""Of the frequencies where attention has none of its own (Su et al. 2021, section 3.2.2)."""


def indexer_frequencies(attention: tuple[float, ...], head_dim: int = HEAD_DIM) -> tuple[float, ...]:
    """By what angles half of an indexer's head is turned from place to place, as half of it is in DeepSeek-V3.2: those
    of the layer's attention, evenly thinned where there are more; without any, 10000^(-2m / R) for R / 2 pairs."""
    most = head_dim // 4
    if not attention:
        return tuple(_BASE ** (-pair / most) for pair in range(most))
    return attention[:: -(-len(attention) // most)]


class Prepared(NamedTuple):
    """hidden [B, tiles, W] that stand for tiles of queries, their ``places`` int64 [tiles], and keys [B, Nk, d]."""

    hidden: Tensor
    places: Tensor
    keys: Tensor


class Indexer(nn.Module):
    """sum_h w_h ReLU(<q_h, k>), one k for all of the indexer's heads (DeepSeek-AI 2025, equation 1).

    q_h and k are turned by their places, as rotary embedding does, in the first numbers of each, by ``frequencies``;
    without any they are not, as in a cross pattern, whose queries have no place among the keys. Without it a token that
    is repeated would have one score in the first layer, wherever it stands. A tile's query is its mean hidden state, as
    ``pooling.py`` says, at the place of its first token.
    """

    frozen = False
    reads = HIDDEN
    frequencies: Tensor

    def __init__(
        self, width: int, *, heads: int = HEADS, head_dim: int = HEAD_DIM, frequencies: tuple[float, ...] = ()
    ) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.query = nn.Linear(width, heads * head_dim, bias=False)
        self.key = nn.Linear(width, head_dim, bias=False)
        self.weight = nn.Linear(width, heads, bias=False)
        # It is saved: what was learned is of use under these angles alone.
        self.register_buffer("frequencies", torch.tensor(frequencies))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        """What was saved before there were frequencies turned nothing, and does not."""
        state.setdefault(f"{prefix}frequencies", torch.zeros_like(self.frequencies))
        super()._load_from_state_dict(state, prefix, *others)

    def prepare(self, inputs: Inputs, tile: int, direction: Direction, first: int = 0) -> Prepared:
        """Of the tiles from ``first`` on."""
        dtype = self.key.weight.dtype
        hidden = query_blocks(inputs.query, "hidden", "topk_keys", dtype, tile, direction, first)
        places = torch.arange(first, first + hidden.shape[1], device=hidden.device) * tile

        def keys(known: int) -> Tensor:
            found: Tensor = self.key(inputs.key.needs("hidden", "topk_keys", dtype, known))
            return turned(found, known + torch.arange(found.shape[1], device=found.device), self.frequencies)

        return Prepared(hidden, places, inputs.key.made("keys", 1, keys))

    def scores(self, prepared: Prepared, start: int, stop: int, key: int = 0) -> Tensor:
        """[B, 1, tiles, Nk - key], as ``KeyScorer`` says."""
        tiles, keys = prepared.hidden[:, start:stop], prepared.keys[:, key:]
        weight = self.weight(tiles) * (self.heads * self.head_dim) ** -0.5
        queries = self.query(tiles).view(*weight.shape, self.head_dim).transpose(1, 2)
        queries = turned(queries, prepared.places[start:stop], self.frequencies)
        found = torch.einsum("bhtd,bnd->bthn", queries, keys).relu()
        return torch.einsum("bth,bthn->btn", weight, found)[:, None]
