"""``topk_blocks``: the scores of a row of blocks rank as dense attention does (Gao et al. 2024, section 3.3)."""

from __future__ import annotations

from torch import Tensor

from ...selectors.layer import pair_counts
from ...selectors.topk_blocks import TopKBlocks
from ..dense_maps import DenseAttention, block_attention
from .divergence import divergence


def block_loss(selector: TopKBlocks, dense: DenseAttention, pool: str) -> Tensor:
    """The mean over rows of blocks of KL(map || softmax(scores)), over the blocks that are not forced."""
    scores = selector.scorer(dense.inputs, selector.block, selector.direction)
    target = block_attention(dense, selector.block, pool=pool)
    free = pair_counts(dense.inputs, selector.block, selector.direction) > 0
    total, rows = divergence(target, scores, free & ~selector.forced_blocks(scores))
    return total / rows.clamp_min(1)
