"""The mask function that transformers calls once per forward, before any attention.

transformers 5 drops padding *and* causality without a word for an attention name that has no mask function, and tells
this function alone where queries and keys lie. So here is where a call that a pattern cannot serve is recognised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import UnsupportedCallError
from .binding import OWN, PROBE
from .padding import check_contiguous, require

WINDOW_REMEDY = (
    "the model wants its own window here; set config.sliding_window = None and write the window as a pattern,"
    " or leave these layers dense with a plan"
)
_BEYOND = (
    "the model asks for a mask beyond causality and padding (packed sequences by position_ids, image or prefix"
    " blocks); put one sequence in each row, with padding, or write the pairs into the pattern"
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
    """The mask that the attention function will receive: 2D padding, the model's own mask, or None."""
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
        return _own_mask(own)(
            batch_size=batch_size, q_length=q_length, kv_length=kv_length, q_offset=q_offset, kv_offset=kv_offset,
            mask_function=mask_function, attention_mask=attention_mask, **kwargs,
        )  # fmt: skip
    if torch.compiler.is_compiling() and _may_be_packed(mask_function, attention_mask, q_length, kv_length, kwargs):
        _check_causal(mask_function, batch_size, q_length, kwargs["device"])  # type: ignore[arg-type]
    else:
        _check_plain(mask_function, kwargs["config"])
    if kv_offset != 0:
        raise UnsupportedCallError(
            f"the cache has dropped the first {kv_offset} keys, and a pattern may need them;"
            " use the default cache (DynamicCache)"
        )
    if attention_mask is not None and attention_mask.shape[1] != kv_length:
        raise UnsupportedCallError(
            f"attention_mask covers {attention_mask.shape[1]} tokens of {kv_length}; it must also cover the cached ones"
        )
    return attention_mask


def _own_mask(own: str) -> Callable[..., Tensor | None]:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    function: Callable[..., Tensor | None] = ALL_MASK_ATTENTION_FUNCTIONS[own]
    return function


def _check_plain(mask_function: Callable[..., Any] | None, config: Any) -> None:
    """The model must want causal or full attention and nothing else: other wishes are closures we cannot honour."""
    from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

    if mask_function is None or mask_function in (causal_mask_function, bidirectional_mask_function):
        return
    if getattr(config, "sliding_window", None) is not None:
        raise UnsupportedCallError(f"sliding_window={config.sliding_window} is not implemented; {WINDOW_REMEDY}")
    raise UnsupportedCallError(_BEYOND)


def _may_be_packed(
    mask_function: Callable[..., Any] | None, padding: Tensor | None, nq: int, nk: int, kwargs: dict[str, Any]
) -> bool:
    """Whether transformers, tracing without a padding mask, may have put "the same packed sequence" on top.

    It cannot look at position_ids then, so it always does. Functions that a model adds of its own are told apart by
    ``use_vmap``, and refused.
    """
    return padding is None and mask_function is not None and nq == nk and not kwargs.get("use_vmap", True)


def _check_causal(mask_function: Callable[..., Any], batch: int, n: int, device: torch.device) -> None:
    """Make the graph raise UnsupportedCallError unless the function is causality and nothing else, by O(n) pairs.

    Beside causality, transformers' own functions only take away pairs far apart (windows, chunks, packed sequences:
    then some row loses key 0) or add blocks of neighbours (then some row sees the next key).
    """
    element, rows = torch.arange(batch, device=device)[:, None], torch.arange(n, device=device)[None, :]
    head = torch.zeros((), dtype=torch.int64, device=device)
    sees_first = mask_function(element, head, rows, torch.zeros_like(rows))
    sees_next = mask_function(element, head, rows[:, :-1], rows[:, 1:])
    require(sees_first.all() & ~sees_next.any(), UnsupportedCallError(_BEYOND))
