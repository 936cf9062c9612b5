"""Packed documents: several sequences in one row, which a mask or positions that start anew tell apart.

Documents of a batch lie behind each other: ``documents`` is int32 [docs + 1] over batch x tokens, and each row begins
one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .require import require


def documents_of(starts: Tensor) -> Tensor:
    """From bool [B, N], True where a token begins a document; the first of each row does whatever it says."""
    starts = starts.clone()
    starts[:, :1] = True
    edges = starts.flatten().nonzero().flatten()
    return torch.cat([edges, edges.new_tensor([starts.numel()])]).to(torch.int32)


def starts_of(documents: Tensor, batch: int, n: int) -> Tensor:
    """The inverse of ``documents_of``."""
    starts = torch.zeros(batch * n + 1, dtype=torch.bool, device=documents.device)
    starts[documents.long()] = True
    return starts[:-1].view(batch, n)


def documents_in_mask(visible: Tensor) -> Tensor | None:
    """The documents of a causal mask, bool [B, N, N]; None where it is more or less than documents."""
    n = visible.shape[-1]
    starts = torch.ones(visible.shape[:2], dtype=torch.bool, device=visible.device)
    starts[:, 1:] = ~visible.diagonal(-1, 1, 2)
    number = starts.cumsum(1)
    expected = (number[:, :, None] == number[:, None, :]) & visible.new_ones(n, n).tril()
    return documents_of(starts) if torch.equal(visible, expected) else None


def check_restarts(position_ids: Tensor, documents: Tensor, batch: int) -> None:
    """Raise UnsupportedCallError unless position_ids [B or 1, N] jump where a document begins, and nowhere else."""
    n = position_ids.shape[1]
    jumps = position_ids[:, 1:] - position_ids[:, :-1] != 1
    message = (
        "the mask keeps documents apart that position_ids do not tell apart (attention in chunks?); write the pairs"
        " into the pattern"
    )
    require((jumps == starts_of(documents, batch, n)[:, 1:]).all(), message)
