"""``granularity``: what dense attention loses at each level of a pair of blocks.

A summary spreads the attention on its tokens evenly over them. So of a pair of blocks is lost, in total variation,

    fine    0
    medium  sum over its summaries of sum_j |p_ij - mean of p_i over the summary| / 2
    coarse  the same over the block
    skip    sum_j p_ij

summed over the queries of the block, the mean over the heads of a group; that a summary's weight is that of its mean
key is left out. With w the probabilities of the levels, loss = sum w e / sum p over the pairs of blocks that are free,
and over pairs that no positional term reads. Gumbel noise draws a level with just these probabilities: this is what is
lost on average. It falls with every finer level; the density is what coarsens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....patterns_dsl.builtin.selectors import MEDIUM_SIZE
from ....patterns_dsl.syntax import Direction
from ...selectors.granularity import Granularity
from ...selectors.layer import pair_counts
from ..dense_maps import DenseAttention, in_blocks, over_groups


def level_loss(selector: Granularity, dense: DenseAttention) -> Tensor:
    logits = selector.scorer(dense.inputs, selector.block, selector.direction)
    chances = torch.softmax(logits / selector.temperature, -1)
    free = (pair_counts(dense.inputs, selector.block, selector.direction) > 0).expand(logits.shape[:-1])
    if selector.direction is not Direction.CROSS:
        free = free & ~torch.eye(free.shape[-1], dtype=torch.bool, device=free.device)
    mass, errors = level_errors(dense, selector.block, selector.levels)
    lost = (chances.to(errors.dtype) * errors).sum(-1).masked_fill(~free, 0.0).sum()
    total = mass.masked_fill(~free, 0.0).sum()
    return lost / total.masked_fill(total == 0, 1.0)


@torch.no_grad()
def level_errors(dense: DenseAttention, block: int, levels: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """(the attention on each pair of blocks [B, Hkv, a, b], what each level loses of it [B, Hkv, a, b, levels])."""
    exists = in_blocks(dense.inputs.key.exists(), block)[:, None, None, None]  # [B, 1, 1, 1, key blocks, block]
    masses, errors = [], []
    for weights in dense.rows(block):
        weights = in_blocks(weights, block)  # [B, Hq, a, queries, b, keys]
        mass = weights.sum((-1, 3))
        found = {"fine": torch.zeros_like(mass), "skip": mass}
        for level, size in (("medium", MEDIUM_SIZE), ("coarse", block)):
            if level in levels:
                found[level] = _spread_error(weights, exists, size).sum(3)
        masses.append(over_groups(mass, dense.k.shape[1]))
        errors.append(over_groups(torch.stack([found[level] for level in levels], -1), dense.k.shape[1]))
    return torch.cat(masses, 2), torch.cat(errors, 2)


def _spread_error(weights: Tensor, exists: Tensor, size: int) -> Tensor:
    """[..., b]: the total variation between the weights [..., b, keys] and their means over ``size`` tokens."""
    parts, present = (x.reshape(*x.shape[:-1], -1, size) for x in (weights, exists))
    mean = parts.sum(-1, keepdim=True) / present.sum(-1, keepdim=True).clamp_min(1)
    return torch.as_tensor((parts - mean).masked_fill(~present, 0.0).abs().sum((-1, -2)) / 2)
