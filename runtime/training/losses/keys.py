"""``topk_keys``: the indexer's scores of a tile rank as dense attention does (DeepSeek-AI 2025, section 2.1.1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ....patterns_dsl.syntax import Direction
from ...selectors.inputs import Inputs
from ...selectors.topk_keys import TopKKeys
from ..dense_maps import DenseAttention, tile_attention
from .divergence import divergence


def key_loss(selector: TopKKeys, dense: DenseAttention) -> Tensor:
    """The mean over tiles of KL(map || softmax(scores)), over the keys that are not forced."""
    inputs = dense.inputs
    prepared = selector.scorer.prepare(inputs, selector.tile, selector.direction)
    total, rows = torch.zeros((), device=dense.q.device), torch.zeros((), device=dense.q.device)
    start = 0
    for target in tile_attention(dense, selector.tile):
        stop = start + target.shape[2]
        free = _free(selector, inputs, start, stop)

        def part(prepared: object, target: Tensor, free: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
            return divergence(target, selector.scorer.scores(prepared, start, stop), free)

        # Scores of every tile by every key would be kept for backward.
        one, count = checkpoint(part, prepared, target, free, start, stop, use_reentrant=False)
        total, rows, start = total + one, rows + count, stop
    return total / rows.clamp_min(1)


def _free(selector: TopKKeys, inputs: Inputs, start: int, stop: int) -> Tensor:
    """bool [B, 1, tiles, Nk]: what is neither forced nor later than the tile. A tile's own tokens are forced for one
    query each, and free for the later ones."""
    exists = inputs.key.exists()[:, None, None]
    place = torch.arange(exists.shape[-1], device=exists.device)
    end = torch.arange(start + 1, stop + 1, device=exists.device)[:, None] * selector.tile
    free = exists.expand(-1, -1, stop - start, -1)
    if selector.direction is Direction.CAUSAL:
        alone = selector.tile == 1 and "diagonal" in selector.forced
        free = free & (place < end - int(alone))
    return free & (place > 0) if "first" in selector.forced else free
