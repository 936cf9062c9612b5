"""Blocks of tokens as one vector each.

In a causal pattern the choice for a block of queries is made when its first token arrives: it may read nothing later,
or the queries at the front of the block would hear of those behind them. So a block of queries is summarised by the
``block`` tokens that end with its first one, and the block that is being written is known by that token alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ArgumentError


def blocked(x: Tensor, exists: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """(x [B, ..., N, D] as [B, ..., blocks, block, D], which of it exists, bool [B, 1.., blocks, block, 1])."""
    short = -x.shape[-2] % block
    blocks = (x.shape[-2] + short) // block
    x = F.pad(x, (0, 0, 0, short)).reshape(*x.shape[:-2], blocks, block, x.shape[-1])
    exists = F.pad(exists, (0, short))
    return x, exists.view(exists.shape[0], *[1] * (x.dim() - 4), blocks, block, 1)


def block_means(x: Tensor, exists: Tensor, block: int) -> Tensor:
    """[B, ..., blocks, D]: the mean of the tokens of each block that exist, 0 where none does. exists bool [B, N]."""
    x, present = blocked(x, exists, block)
    return _mean(x, present)


def block_ends(x: Tensor, exists: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """The greatest and the least value of each block, [B, ..., blocks, D] both; 0 where no token exists."""
    x, present = blocked(x, exists, block)
    some = present.any(-2)
    greatest = x.masked_fill(~present, -torch.inf).amax(-2).where(some, 0.0)
    least = x.masked_fill(~present, torch.inf).amin(-2).where(some, 0.0)
    return greatest, least


def arrival_means(x: Tensor, exists: Tensor, block: int, first: int = 0) -> Tensor:
    """[B, ..., blocks, D]: the mean of the ``block`` tokens that end with the first token of each block, of the blocks
    from ``first`` on. x and exists have the tokens from ``arrival(first, block)`` on."""
    missing = block - 1 if first == 0 else 0
    blocks = -(-(x.shape[-2] + missing - (block - 1)) // block)
    # With block - 1 places before it, each window is a block.
    x = F.pad(x, (0, 0, missing, 0))[..., : blocks * block, :]
    exists = F.pad(exists, (missing, 0))[:, : blocks * block]
    return block_means(x, exists, block)


def arrival(block: int, size: int) -> int:
    """The first token that tells of a block of ``size`` tokens when its first token arrives."""
    return max(0, block * size - size + 1)


def first_tokens(x: Tensor, exists: Tensor, block: int) -> Tensor:
    """[B, ..., blocks, D]: the first token of each block, 0 where it does not exist."""
    x, present = blocked(x, exists, block)
    return x[..., 0, :].where(present[..., 0, :], 0.0)


def block_sums(x: Tensor, exists: Tensor, block: int) -> Tensor:
    """[B, ..., blocks, 2 D]: the sum of the tokens of each block that exist, beside its first token."""
    x, present = blocked(x, exists, block)
    x = x.masked_fill(~present, 0.0)
    return torch.cat([x.sum(-2), x[..., 0, :]], -1)


def running_means(sums: Tensor, lengths: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """``block_sums`` of x [B, N, W], of which ``lengths`` exist, as two [B, blocks, W]: the mean of all tokens up to
    the first one of each block, and up to the last, those included; 0 where there is none."""
    own, start = sums.chunk(2, -1)
    counts = block_counts(lengths, sums.shape[-2], block)[..., None]
    total, count = own.cumsum(-2), counts.cumsum(-2)
    first = (total - own + start) / (count - counts + counts.clamp(max=1)).clamp_min(1)
    return first, total / count.clamp_min(1)


def block_counts(lengths: Tensor, blocks: int, block: int) -> Tensor:
    """int64 [B, blocks]: how many tokens of each block exist. lengths int [B]."""
    starts = torch.arange(blocks, device=lengths.device) * block
    return (lengths[:, None] - starts).clamp(0, block)


def group_means(q: Tensor, groups: int) -> Tensor:
    """q [B, Hq, N, D] as [B, groups, N, D]: the mean over the query heads that share a key head."""
    if groups == 0 or q.shape[1] % groups:
        raise ArgumentError("q", f"{q.shape[1]} heads and {groups} key heads", "give a multiple of the key heads")
    return q.reshape(q.shape[0], groups, q.shape[1] // groups, *q.shape[2:]).mean(2)


def _mean(x: Tensor, present: Tensor) -> Tensor:
    return x.masked_fill(~present, 0.0).sum(-2) / present.sum(-2).clamp_min(1)
