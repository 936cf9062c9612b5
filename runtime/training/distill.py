"""Distillation: a selector learns to prefer what dense attention looks at. The model is frozen, and dense meanwhile.

The loss is KL(map of dense attention || softmax of the selector's scores), row by row, over what the selector is free
to choose: forced blocks and keys are left out on both sides. It needs no gates, no engine and no hard choice, so that
the gradient reaches what was not chosen as well.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from ..selectors.inputs import Inputs
from ..selectors.layer import pair_counts
from ..selectors.selection import BlockSelection
from ..selectors.topk_blocks import TopKBlocks
from ..selectors.topk_keys import TopKKeys
from .dense_maps import block_attention, tile_attention


def distillation_loss(
    selector: nn.Module, inputs: Inputs, q: Tensor, k: Tensor, *, pool: str = "max", scale: float | None = None
) -> Tensor:
    """A scalar, the mean KL divergence over the rows that have a choice, in nats; 0 where none has.

    ``inputs`` as the selector reads them, through which no gradient passes; q [B, Hq, Nq, D] and k [B, Hkv, Nk, D] as
    attention uses them. ``pool`` is that of ``block_attention``. Raises ArgumentError for a selector that has no
    scores of pairs to compare with a map, or nothing to learn.
    """
    scorer = getattr(selector, "scorer", None)
    if getattr(scorer, "frozen", False):
        raise ArgumentError("selector", f"{type(scorer).__name__} learns nothing", "distil one with a learned scorer")
    inputs = inputs.detached()
    match selector:
        case TopKBlocks():
            total, rows = _blocks(selector, inputs, q, k, pool, scale)
        case TopKKeys():
            total, rows = _keys(selector, inputs, q, k, scale)
        case _:
            remedy = "distil topk_blocks or topk_keys; the others learn from the task and their density"
            raise ArgumentError("selector", f"{type(selector).__name__} does not score pairs", remedy)
    return total / rows.clamp_min(1)


def coverage(selection: BlockSelection, mass: Tensor) -> Tensor:
    """[B, G]: the share of dense attention that falls on the chosen blocks, the mean over the blocks of queries.

    mass [B, G, query blocks, key blocks]: ``block_attention`` with ``pool="sum"``.
    """
    chosen = mass.gather(-1, selection.blocks.clamp_min(0)).masked_fill(selection.blocks < 0, 0.0).sum(-1)
    rows = (mass.sum(-1) > 0).sum(-1).clamp_min(1)
    return chosen.sum(-1) / rows


def _blocks(
    selector: TopKBlocks, inputs: Inputs, q: Tensor, k: Tensor, pool: str, scale: float | None
) -> tuple[Tensor, Tensor]:
    scores = selector.scorer(inputs, selector.block, selector.direction)
    target = block_attention(q, k, inputs, selector.block, selector.direction, pool=pool, scale=scale)
    free = pair_counts(inputs, selector.block, selector.direction) > 0
    return divergence(target, scores, free & ~selector.forced_blocks(scores))


def _keys(selector: TopKKeys, inputs: Inputs, q: Tensor, k: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
    prepared = selector.scorer.prepare(inputs, selector.tile, selector.direction)
    total, rows = torch.zeros((), device=q.device), torch.zeros((), device=q.device)
    start = 0
    for target in tile_attention(q, k, inputs, selector.tile, selector.direction, scale=scale):
        stop = start + target.shape[2]
        free = _free_keys(selector, inputs, start, stop)

        def part(prepared: object, target: Tensor, free: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
            return divergence(target, selector.scorer.scores(prepared, start, stop), free)

        # Scores of every tile by every key would be kept for backward.
        one, count = checkpoint(part, prepared, target, free, start, stop, use_reentrant=False)
        total, rows, start = total + one, rows + count, stop
    return total, rows


def _free_keys(selector: TopKKeys, inputs: Inputs, start: int, stop: int) -> Tensor:
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


def divergence(target: Tensor, scores: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """(sum over rows of KL(target || softmax(scores)), how many rows), both over what is free, where there are two such
    and the target has mass on them. target, scores [..., n]; free bool, broadcasts to them."""
    free = free.expand(scores.shape)
    target = target.masked_fill(~free, 0.0)
    mass = target.sum(-1, keepdim=True)
    counts = (mass[..., 0] > 0) & (free.sum(-1) > 1)
    target = target / mass.masked_fill(mass == 0, 1.0)
    log_p = torch.log_softmax(scores.to(target.dtype).masked_fill(~free, -torch.inf), -1).masked_fill(~free, 0.0)
    rows = (torch.xlogy(target, target) - target * log_p).sum(-1)
    return rows.masked_fill(~counts, 0.0).sum(), counts.sum()
