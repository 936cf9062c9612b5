"""What a layer asks of its attention function by keyword: read where an engine implements it, refused by name else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UnsupportedCallError

_HARMLESS = frozenset(
    {
        "cache", "cache_position", "deterministic", "encoder_hidden_states", "is_causal", "logits_to_keep",
        "num_items_in_batch", "output_hidden_states", "output_router_logits", "past_key_values",
        "position_embeddings", "position_ids", "return_dict", "use_cache",
    }
)  # fmt: skip
"""Arguments that an attention function may receive without any effect on its result."""

_READ = frozenset(
    {"cu_seq_lens_k", "cu_seq_lens_q", "max_length_k", "max_length_q", "s_aux", "sliding_window", "softcap"}
)

_REMEDIES = {
    "output_attentions": "drop output_attentions, or detach and load the model with attn_implementation='eager'",
    "position_bias": "leave these layers dense with a plan",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """``sinks`` [Hq] and ``softcap`` as a compiled program takes them; ``window``: how many keys the model leaves to a
    query; ``documents``, ``max_seqlen``: packed documents that the caller names (flash attention's ``cu_seq_lens_q``).
    """

    softcap: float | None = None
    sinks: Tensor | None = None
    window: int | None = None
    documents: Tensor | None = None
    max_seqlen: int | None = None


def read_asked(dropout: float, kwargs: dict[str, Any]) -> Asked:
    """Raises UnsupportedCallError for what no engine implements, rather than ignore it."""
    if dropout > 0:
        remedy = "set the model's attention dropout to 0, or call model.eval()"
        raise UnsupportedCallError(f"dropout={dropout} is not implemented; {remedy}")
    for name, value in kwargs.items():
        if value is None or value is False or name in _HARMLESS or name in _READ:
            continue
        remedy = _REMEDIES.get(name, "leave these layers dense with a plan, or detach")
        shown = f"={value}" if isinstance(value, (int, float, str)) else ""
        raise UnsupportedCallError(f"{name}{shown} is not implemented; {remedy}")
    documents = _documents(kwargs.get("cu_seq_lens_q"), kwargs.get("cu_seq_lens_k"))
    longest = kwargs.get("max_length_q")
    return Asked(
        softcap=kwargs.get("softcap"),
        sinks=kwargs.get("s_aux"),
        window=kwargs.get("sliding_window"),
        documents=documents,
        max_seqlen=None if documents is None or longest is None else int(longest),
    )


def refuse_weights(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A pre-hook of a whole model: many do not tell their attention modules that weights are asked for, and would
    return an empty tuple."""
    if kwargs.get("output_attentions"):
        remedy = _REMEDIES["output_attentions"]
        raise UnsupportedCallError(f"output_attentions={kwargs['output_attentions']} is not implemented; {remedy}")


def _documents(of_queries: Tensor | None, of_keys: Tensor | None) -> Tensor | None:
    if of_queries is None and of_keys is None:
        return None
    if of_queries is None or of_keys is None or not (of_queries is of_keys or torch.equal(of_queries, of_keys)):
        raise UnsupportedCallError("cu_seq_lens_q and cu_seq_lens_k differ, but each document attends to itself")
    return of_queries.to(torch.int32)
