"""Where the sequences of a batch lie, read from what an attention function is given as its mask."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import ref

import torch
from torch import Tensor

from ...errors import UnsupportedCallError
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


@dataclass(frozen=True, slots=True)
class Made:
    """What a mask of the model's own was made of: bool ``padding`` [B, keys], None where all exist; how many keys the
    cache has ``dropped``. The mask of a query behind a cache does not tell: keys before a window look like padding."""

    padding: Tensor | None
    dropped: int


_MADE = "_patternc_made"


def note_made(mask: Tensor | None, made: Made) -> Tensor | None:
    """The mask, which now tells; where it is traced or copied, ``layout_in`` refuses what it cannot know."""
    if mask is not None and not torch.compiler.is_compiling():
        setattr(mask, _MADE, made)
    return mask


def check_kept(dropped: int) -> None:
    """Raises UnsupportedCallError for a cache that has dropped keys."""
    if dropped != 0:
        raise UnsupportedCallError(
            f"the cache has dropped the first {dropped} keys, and a pattern may need them;"
            " pass past_key_values=DynamicCache(), made without a config, which keeps all, or use_cache=False"
        )


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
            made = None if torch.compiler.is_compiling() else getattr(mask, _MADE, None)
            return _read_explicit(visible_in(mask).expand(batch, -1, -1), nq, window, made, causal=causal)
        case other:
            raise UnsupportedCallError(f"an attention mask of {other} dimensions; pass a 2D attention_mask")


def _read_explicit(visible: Tensor, nq: int, window: int | None, made: Made | None, *, causal: bool) -> Layout:
    nk, known = visible.shape[-1], None
    if made is not None:
        check_kept(made.dropped)
        known = visible.new_ones(len(visible), nk) if made.padding is None else made.padding
        if known.shape != (len(visible), nk):
            known = None
    if known is None and window is not None and nq < nk and nk - nq >= window:
        raise UnsupportedCallError(
            f"a mask with a window of {window} does not tell which of the keys before it exist; pass use_cache=False"
        )
    if causal and nq == nk and not torch.compiler.is_compiling():
        documents = documents_in_mask(visible)
        if documents is not None and len(documents) > len(visible) + 1:
            return Layout(documents=documents)
    return Layout(spans=spans_of(padding_of(visible, nq, window, known, causal=causal)))
