"""Padding masks as spans: the one range of keys of each batch element that exists.

A pattern speaks of logical positions, counted from the first real token, while keys lie at physical ones. A span
[start, end) says which is which. Padding on the left, on the right or on both sides is a span; a mask with a hole is
none, and is refused.
"""

from __future__ import annotations

from weakref import ref

import torch
from torch import Tensor

from ..errors import AttachError, UnsupportedCallError


def require(condition: Tensor, error: AttachError) -> None:
    """Raise ``error`` unless the bool scalar holds. Inside torch.compile the check becomes part of the graph."""
    if torch.compiler.is_compiling():
        torch._assert_async(condition, str(error))
    elif not bool(condition):
        raise error


class _Latest:
    """The mask that was turned into spans last: all layers of a forward get the same tensor."""

    known: tuple[ref[Tensor], tuple[int, int, bool], Tensor] | None = None


def spans_in(mask: Tensor | None, nq: int, *, causal: bool) -> Tensor | None:
    """int32 [B, 2] from what an attention function is given: 2D padding, a 4D mask, or None for no padding.

    Raises UnsupportedCallError for a 4D mask that is more than causality and padding.
    """
    if mask is None:
        return None
    if torch.compiler.is_compiling() or mask.is_inference():  # without a version, a change in place would pass unseen
        return _read_spans(mask, nq, causal=causal)
    state = (mask._version, nq, causal)
    known = _Latest.known
    if known is not None and known[0]() is mask and known[1] == state:
        return known[2]
    spans = _read_spans(mask, nq, causal=causal)
    _Latest.known = (ref(mask), state, spans)
    return spans


def _read_spans(mask: Tensor, nq: int, *, causal: bool) -> Tensor:
    return spans_of(mask.to(torch.bool) if mask.dim() == 2 else padding_of(mask, nq, causal=causal))


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
    require((starts <= 1).all(), UnsupportedCallError(message))


def padding_of(mask: Tensor, nq: int, *, causal: bool) -> Tensor:
    """The bool padding mask [B, Nk] inside a 4D mask [B, 1, Nq, Nk] (bool, or additive with 0 where visible).

    Raises UnsupportedCallError unless the 4D mask is exactly that padding, and causality where the model is causal:
    a mask of the caller's own, packed sequences and the like would otherwise be lost without a word.
    """
    visible = (mask if mask.dtype == torch.bool else mask == 0).any(1)
    padding = visible.any(1)
    nk = visible.shape[-1]
    expected = padding[:, None, :].expand(-1, nq, -1)
    if causal:
        rows = torch.arange(nk - nq, nk, device=mask.device)
        expected = expected & (torch.arange(nk, device=mask.device) <= rows[:, None])
    message = (
        "the 4D attention mask is not just causality and padding (packed sequences, or a mask of your own);"
        " pass a 2D attention_mask, or write the pairs into the pattern"
    )
    require((visible == expected).all(), UnsupportedCallError(message))
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
        "position_ids jump inside a row, as in packed sequences, which the pattern would attend across;"
        " put one sequence in each row, with padding"
    )
    require(steady.all(), UnsupportedCallError(message))
