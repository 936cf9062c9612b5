"""Padding masks as spans: the one range of keys of each batch element that exists.

A pattern speaks of logical positions, counted from the first real token, while keys lie at physical ones. A span
[start, end) says which is which. Padding on the left, on the right or on both sides is a span; a mask with a hole is
none, and is refused.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .require import require


def spans_of(mask: Tensor) -> Tensor:
    """int32 [B, 2] from a bool padding mask [B, Nk], True where a token is real. Assumes no holes."""
    length = mask.shape[1]
    count = mask.sum(1, dtype=torch.int32)
    positions = torch.arange(length, device=mask.device, dtype=torch.int32)
    start = torch.where(mask, positions, length).amin(1).to(torch.int32) if length else count
    start = torch.where(count > 0, start, 0)
    return torch.stack((start, start + count), dim=1).to(torch.int32)


def check_contiguous(mask: Tensor) -> None:
    """Raise UnsupportedCallError if the real tokens of some batch element [B, Nk] are not one run."""
    starts = (mask[:, 1:] & ~mask[:, :-1]).sum(1) + mask[:, :1].sum(1)
    message = (
        "attention_mask has a hole: the real tokens of a batch element are not contiguous; pad on one side only"
        " (for generate, on the left: tokenizer.padding_side = 'left')"
    )
    require((starts <= 1).all(), message)


def visible_in(mask: Tensor) -> Tensor:
    """bool [B, Nq, Nk] of a 4D mask [B, 1 or heads, Nq, Nk]: bool, or additive with 0 where visible and -10,000 or less
    where not.

    Raises UnsupportedCallError for other numbers, which are added to scores, and for heads that see unlike pairs.
    """
    visible = mask if mask.dtype == torch.bool else mask == 0
    if mask.dtype != torch.bool:
        message = (
            "the 4D attention mask adds numbers to scores (a bias?), which no engine does;"
            " pass a bool mask, or one of 0 and -10000 or less"
        )
        require((visible | (mask <= -10_000)).all(), message)
    if visible.shape[1] > 1:
        message = "the 4D attention mask differs from head to head; give the heads patterns of their own, with a plan"
        require((visible == visible[:, :1]).all(), message)
    return visible[:, 0]


def padding_of(
    visible: Tensor, nq: int, window: int | None = None, known: Tensor | None = None, *, causal: bool
) -> Tensor:
    """The bool padding mask [B, Nk] inside an explicit mask, bool [B, Nq, Nk]: ``known``, or the keys that some query
    sees.

    Raises UnsupportedCallError unless it is exactly that padding, and causality where the model is causal, with or
    without the layer's own window: a mask of the caller's own would otherwise be lost without a word.
    """
    padding = visible.any(1) if known is None else known
    nk = visible.shape[-1]
    expected = padding[:, None, :].expand(-1, nq, -1)
    back = torch.arange(nk - nq, nk, device=visible.device)[:, None] - torch.arange(nk, device=visible.device)
    if causal:
        expected = expected & (back >= 0)
    found = (visible == expected).all()
    if window is not None:
        found = found | (visible == (expected & (back.abs() < window))).all()
    message = (
        "the 4D attention mask is not just causality with padding or packed sequences (a mask of your own?);"
        " pass a 2D attention_mask, or write the pairs into the pattern"
    )
    require(found, message)
    check_contiguous(padding)
    return padding


def check_positions(position_ids: Tensor, spans: Tensor | None, query_offset: int) -> None:
    """Raise UnsupportedCallError if position_ids [B or 1, Nq] jump within a span: several sequences in one row."""
    steady = position_ids[:, 1:] - position_ids[:, :-1] == 1
    if spans is not None:
        place = torch.arange(query_offset + 1, query_offset + position_ids.shape[1], device=position_ids.device)
        # The step from position p - 1 to p counts when both are real tokens.
        inside = (place > spans[:, :1]) & (place < spans[:, 1:])
        steady = steady | ~inside
    message = (
        "position_ids jump inside a row, as in packed sequences, which the pattern would attend across; pack without"
        " attention_mask and with use_cache=False, or put one sequence in each row"
    )
    require(steady.all(), message)
