"""The attention function that transformers calls, dispatching on what is bound to the module.

All layers share one config, so the name in it cannot tell them apart; each attention module carries its own
:class:`~patternc.runtime.models.binding.Binding`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from ..errors import AttachError, UnsupportedCallError
from .binding import ATTRIBUTE, NAME, OWN, PROBE, Binding, Call
from .heads import run_groups
from .mask import WINDOW_REMEDY, attention_mask
from .padding import check_positions, spans_in

# Arguments that an attention function may receive without any effect on its result.
_HARMLESS = frozenset(
    {
        "cache_position", "deterministic", "encoder_hidden_states", "is_causal", "logits_to_keep",
        "num_items_in_batch", "output_hidden_states", "output_router_logits", "past_key_values",
        "position_embeddings", "position_ids", "return_dict", "use_cache",
    }
)  # fmt: skip

_REMEDIES = {
    "dropout": "set the model's attention dropout to 0, or call model.eval()",
    "output_attentions": "drop output_attentions, or detach and load the model with attn_implementation='eager'",
    "position_bias": "leave these layers dense with a plan",
    "s_aux": "attention sinks are not implemented; leave these layers dense with a plan",
    "sliding_window": WINDOW_REMEDY,
    "softcap": "logit soft-capping is not implemented; leave these layers dense with a plan",
}


def register_names() -> None:
    """Make the names known to transformers. Idempotent."""
    from transformers import AttentionInterface, AttentionMaskInterface

    for name in (NAME, *OWN):
        AttentionInterface.register(name, attention_forward)
        AttentionMaskInterface.register(name, attention_mask)


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """query [B, Hq, Nq, D], key and value [B, Hkv, Nk, D] -> (out [B, Nq, Hq, D], None).

    A module without a program runs the model's own attention, unchanged.
    """
    if PROBE.calls is not None:
        call = Call(module, query.shape[1], key.shape[1], query.shape[3], query.dtype, query.device)
        PROBE.calls.append(call)
        if PROBE.dry:
            return torch.zeros_like(query).transpose(1, 2).contiguous(), None
    binding: Binding | None = getattr(module, ATTRIBUTE, None)
    if binding is None:
        raise AttachError(
            f"a {type(module).__name__} without a binding runs under {NAME!r}; use patternc.attach instead of setting"
            " attn_implementation by name"
        )

    def own() -> tuple[Tensor, Tensor | None]:
        run = own_attention(module, binding.own)
        return run(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)

    if not binding.groups:
        return own()
    causal = kwargs.get("is_causal")
    causal = bool(getattr(module, "is_causal", True) if causal is None else causal)
    offset = key.shape[2] - query.shape[2]
    _check_call(dropout, kwargs)
    _check_patterns(binding, causal, offset)
    spans = spans_in(attention_mask, query.shape[2], causal=causal)
    if binding.first and query.shape[2] > 1 and kwargs.get("position_ids") is not None:
        # Every layer gets the same position_ids: one look at them is enough.
        check_positions(kwargs["position_ids"], spans, offset)
    query, key, value = (_autocast(x) for x in (query, key, value))
    out = run_groups(
        binding.groups, query, key, value, scale=scaling, spans=spans, query_offset=offset, rest=lambda: own()[0]
    )
    return out, None


def _autocast(x: Tensor) -> Tensor:
    """As autocast does for torch's own attention: rotary embeddings leave q and k in float32 and v in bfloat16."""
    kind = x.device.type
    if x.dtype == torch.float64 or not torch.is_autocast_enabled(kind):
        return x
    return x.to(torch.get_autocast_dtype(kind))


def _check_call(dropout: float, kwargs: dict[str, Any]) -> None:
    """Refuse by name what no engine implements, rather than ignore it."""
    if dropout > 0:
        raise UnsupportedCallError(f"dropout={dropout} is not implemented; {_REMEDIES['dropout']}")
    for name, value in kwargs.items():
        if value is None or value is False or name in _HARMLESS:
            continue
        remedy = _REMEDIES.get(name, "leave these layers dense with a plan, or detach")
        shown = f"={value}" if isinstance(value, (int, float, str)) else ""
        raise UnsupportedCallError(f"{name}{shown} is not implemented; {remedy}")


def _check_patterns(binding: Binding, causal: bool, query_offset: int) -> None:
    for group in binding.groups:
        compiled = group.compiled
        if causal and compiled.meaning.direction is not Direction.CAUSAL:
            raise UnsupportedCallError(
                f"pattern {compiled.name!r} is {compiled.meaning.direction}, but the layer is causal;"
                " declare the pattern causal"
            )
        if query_offset > 0 and group.depends_on_length:
            raise UnsupportedCallError(
                f"pattern {compiled.name!r} mentions the length n, so a longer text changes rows that are already"
                " in the cache; pass use_cache=False, or use a pattern without n"
            )


def own_attention(module: nn.Module, own: str) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The attention function that the model would have called."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    function: Callable[..., tuple[Tensor, Tensor | None]] | None
    if own == "eager":  # not registered: each modeling file has its own
        function = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    else:
        function = ALL_ATTENTION_FUNCTIONS.get(own)
    if function is None:
        raise AttachError(f"the model's own attention {own!r} was not found; load it with attn_implementation='sdpa'")
    return function
