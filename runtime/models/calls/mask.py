"""The mask function that transformers calls once per forward, before any attention.

transformers 5 drops padding *and* causality without a word for an attention name that has no mask function, and tells
this function alone where queries and keys lie. So here is where a call that a pattern cannot serve is recognised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...errors import UnsupportedCallError
from ..masks.layout import WINDOW_REMEDY, Made, check_kept, note_made
from ..masks.mask_function import MaskFunction
from ..masks.padding import check_contiguous
from ..masks.require import require
from .binding import OWN, PROBE

_BEYOND = (
    "the model asks for a mask beyond causality, padding and packed sequences (image or prefix blocks, or packed"
    " sequences inside torch.compile); put one sequence in each row, with padding, or write the pairs into the pattern"
)


def attention_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] | None = None,
    attention_mask: Tensor | None = None,
    **kwargs: Any,
) -> Tensor | None:
    """The mask that the attention function will receive: the model's own mask, or what ``layout_in`` reads: 2D padding,
    1D documents, padding and a window in 3D, or None."""
    if PROBE.dry:
        return None
    if attention_mask is not None:
        attention_mask = attention_mask.to(torch.bool)
        check_contiguous(attention_mask)
    # A pre-allocated cache has keys beyond the queries, and its offset is a tensor.
    if isinstance(q_offset, Tensor) or q_offset + q_length != kv_offset + kv_length:
        raise UnsupportedCallError(
            "a pre-allocated cache (StaticCache) is not implemented; use the default cache (DynamicCache)"
        )
    own = OWN.get(kwargs["config"]._attn_implementation)
    if own is not None:
        made = _own_mask(own)(
            batch_size=batch_size, q_length=q_length, kv_length=kv_length, q_offset=q_offset, kv_offset=kv_offset,
            mask_function=mask_function, attention_mask=attention_mask, **kwargs,
        )  # fmt: skip
        return note_made(made, Made(attention_mask, kv_offset))
    check_kept(kv_offset)
    if attention_mask is not None and attention_mask.shape[1] != kv_length:
        raise UnsupportedCallError(
            f"attention_mask covers {attention_mask.shape[1]} tokens of {kv_length}; it must also cover the cached ones"
        )
    if mask_function is None or _is_plain(mask_function):
        return attention_mask
    asked = MaskFunction(mask_function, batch_size, q_length, kv_length, kwargs["device"])
    if attention_mask is None and q_length == kv_length and not kwargs.get("use_vmap", True):
        # "The same packed sequence" may be on top. While tracing, transformers cannot look at position_ids, and always
        # puts it there.
        causal = asked.is_causal()
        if torch.compiler.is_compiling():
            require(causal, _BEYOND)
            return None
        if bool(causal):
            return None
        documents = asked.documents()
        if documents is not None:
            return documents
    return _windowed(asked, getattr(kwargs["config"], "sliding_window", None), attention_mask)


def _own_mask(own: str) -> Callable[..., Tensor | None]:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    function: Callable[..., Tensor | None] = ALL_MASK_ATTENTION_FUNCTIONS[own]
    return function


def _is_plain(mask_function: Callable[..., Any]) -> bool:
    """Whether the model wants causal or full attention and nothing else; other wishes are closures."""
    from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

    return mask_function in (causal_mask_function, bidirectional_mask_function)


def _windowed(asked: MaskFunction, window: int | None, padding: Tensor | None) -> Tensor:
    """The model's own window, which layers may refuse later: a mask may be made that no layer with a pattern gets. An
    encoder's leaves keys up to ``window`` from a query, on both sides: a window of one more, in numbers of keys.

    Raises UnsupportedCallError for all else that a model may wish for.
    """
    if window is None:
        raise UnsupportedCallError(_BEYOND)
    kept = 0
    if not torch.compiler.is_compiling():
        kept = window if bool(asked.is_window(window)) else window + 1 if bool(asked.is_band(window)) else 0
    if not kept:
        raise UnsupportedCallError(f"sliding_window={window} is not implemented here; {WINDOW_REMEDY}")
    if padding is None:
        padding = torch.ones(asked.batch, asked.keys, dtype=torch.bool, device=asked.device)
    return (padding.to(torch.int32) * kept)[..., None]
