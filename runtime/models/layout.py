"""Where the sequences of a batch lie, read from what an attention function is given as its mask."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import ref

import torch
from torch import Tensor

from ..errors import UnsupportedCallError
from .packing import documents_in_mask
from .padding import padding_of, spans_of, visible_in

WINDOW_REMEDY = (
    "the model wants its own window here; attach a pattern that lies within it, leave these layers dense with a plan,"
    " or build the model without it (set config.sliding_window = None; where config.layer_types names windowed layers,"
    " make all of them 'full_attention') and write the window as a pattern"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """``spans`` int32 [B, 2] of a padded batch, or ``documents`` int32 [docs + 1] over batch x tokens; without either,
    each batch element is one sequence. ``window``: how many keys the mask leaves to a query behind it, in an encoder
    ahead as well, itself included."""

    spans: Tensor | None = None
    documents: Tensor | None = None
    window: int | None = None


class _Latest:
    """The mask that was read last: all layers of a forward get the same tensor."""

    known: tuple[ref[Tensor], tuple[int, int, int, bool, int | None], Layout] | None = None


def layout_in(mask: Tensor | None, batch: int, nq: int, *, causal: bool, window: int | None = None) -> Layout:
    """Of None, of what ``models/mask.py`` makes (documents [docs + 1], padding [B, Nk], a window
    where a token is real [B, Nk, 1]), or of a 4D mask, of each row or of all; ``window``: that the layer says it has.

    Raises UnsupportedCallError for a 4D mask that is more than causality with padding, that window or documents.
    """
    if mask is None:
        return Layout()
    if torch.compiler.is_compiling() or mask.is_inference():  # without a version, a change in place would pass unseen
        return _read(mask, batch, nq, window, causal=causal)
    state = (mask._version, batch, nq, causal, window)
    known = _Latest.known
    if known is not None and known[0]() is mask and known[1] == state:
        return known[2]
    layout = _read(mask, batch, nq, window, causal=causal)
    _Latest.known = (ref(mask), state, layout)
    return layout


def _read(mask: Tensor, batch: int, nq: int, window: int | None, *, causal: bool) -> Layout:
    match mask.dim():
        case 1:
            return Layout(documents=mask)
        case 2:
            return Layout(spans=spans_of(mask.to(torch.bool)))
        case 3 if mask.shape[2] == 1:
            return Layout(spans=spans_of(mask[..., 0] > 0), window=int(mask.max()))
        case 4:
            return _read_explicit(visible_in(mask).expand(batch, -1, -1), nq, window, causal=causal)
        case other:
            raise UnsupportedCallError(f"an attention mask of {other} dimensions; pass a 2D attention_mask")


def _read_explicit(visible: Tensor, nq: int, window: int | None, *, causal: bool) -> Layout:
    if causal and nq == visible.shape[-1] and not torch.compiler.is_compiling():
        documents = documents_in_mask(visible)
        if documents is not None and len(documents) > len(visible) + 1:
            return Layout(documents=documents)
    return Layout(spans=spans_of(padding_of(visible, nq, window, causal=causal)))
