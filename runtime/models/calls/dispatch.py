"""The attention function that transformers calls, dispatching on what is bound to the module.

All layers share one config, so the name in it cannot tell them apart; each attention module carries its own
:class:`~patternc.runtime.models.calls.binding.Binding`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ....compiler.lowering.learned import LearnedProgram
from ....patterns_dsl.syntax import Direction
from ...compiled import Options
from ...distributed.context_parallel import ContextParallel
from ...errors import AttachError, UnsupportedCallError
from ..masks.layout import WINDOW_REMEDY, Layout, layout_in
from ..masks.packing import check_restarts
from ..masks.padding import check_positions
from .asked import Asked, read_asked
from .binding import ATTRIBUTE, NAME, OWN, PROBE, Binding, Call, Entry
from .entered import ENTERED, Entered
from .heads import run_heads
from .learned_layer import given, run_learned, watch_dense
from .mask import attention_mask


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
    entered: Entered | None = kwargs.pop(ENTERED, None)
    _note(module, query, key, value, entered, masked=attention_mask is not None)
    if PROBE.dry:
        batch, heads, rows, _ = query.shape
        return query.new_zeros(batch, rows, heads, value.shape[3]), None
    binding = _binding(module)

    def own() -> tuple[Tensor, Tensor | None]:
        run = own_attention(module, binding.own)
        return run(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)

    if binding.program is None and binding.learned is None:
        return own()
    causal = kwargs.get("is_causal")
    causal = bool(getattr(module, "is_causal", True) if causal is None else causal)
    offset = key.shape[2] - query.shape[2]
    asked = read_asked(dropout, kwargs)
    layout = layout_in(attention_mask, query.shape[0], query.shape[2], causal=causal, window=asked.window)
    _check_patterns(binding, causal, offset, layout.window if asked.window is None else asked.window)
    documents = _documents(module, layout, asked)
    if documents is not None and isinstance(binding.program, ContextParallel):  # which refuses in all processes
        documents = binding.program.apart_from_runs(documents, query.shape[0], query.shape[2])
    elif documents is not None:
        _check_packed(binding)
    if binding.first and query.shape[2] > 1 and kwargs.get("position_ids") is not None and asked.documents is None:
        # Every layer gets the same position_ids: one look at them is enough.
        starts = binding.program.starts(query.shape[2]) if isinstance(binding.program, ContextParallel) else (0,)
        _check_positions(kwargs["position_ids"], layout, offset, query.shape[0], starts)
    if binding.first and isinstance(binding.program, ContextParallel) and PROBE.calls is None:  # a probe has none
        binding.program.check_positions(kwargs.get("position_ids"))
    _drop(module, entered, layout)
    cached = key
    query, key, value = (_autocast(x) for x in (query, key, value))
    if binding.program is None:
        layout = replace(layout, documents=documents)
        told = given(module, (query, key, value), entered, cached, scaling, asked, layout)
        if not binding.watching.dense:
            return run_learned(module, binding, told, asked), None
        watch_dense(module, binding, told)
        return own()
    options: Options = {
        "scale": scaling,
        "spans": layout.spans,
        "query_offset": offset,
        "documents": documents,
        "max_seqlen": asked.max_seqlen,
        "softcap": asked.softcap,
        "sinks": asked.sinks,
    }
    return run_heads(binding.program_for(query.dtype), query, key, value, options, rest=lambda: own()[0]), None


def _note(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, entered: Entered | None, *, masked: bool
) -> None:
    """For a probe."""
    if PROBE.calls is not None:
        if entered is not None and PROBE.entries is not None:
            PROBE.entries.append(Entry(module, entered, query, key))
        sizes = query.shape[1], key.shape[1], query.shape[3], value.shape[3]
        call = Call(module, *sizes, query.dtype, query.device, masked)
        PROBE.calls.append(call)


def _binding(module: nn.Module) -> Binding:
    binding: Binding | None = getattr(module, ATTRIBUTE, None)
    if binding is None:
        raise AttachError(
            f"a {type(module).__name__} without a binding runs under {NAME!r}; use patternc.attach instead of setting"
            " attn_implementation by name"
        )
    return binding


def _documents(module: nn.Module, layout: Layout, asked: Asked) -> Tensor | None:
    """Documents that the caller names, or those that the mask keeps apart."""
    named, kept = asked.documents, layout.documents
    chunk = getattr(getattr(module, "config", None), "attention_chunk_size", None)
    if kept is not None and chunk is not None:
        raise UnsupportedCallError(
            f"the mask keeps parts of a row apart: chunks of {chunk} (config.attention_chunk_size) or packed documents,"
            " which nothing tells apart here; leave the layers with chunks dense with a plan, with one sequence in each"
            " row, or build the model without them and write `block(...)` into the pattern"
        )
    if named is None or kept is None:
        return kept if named is None else named
    if not torch.equal(named, kept):
        raise UnsupportedCallError("cu_seq_lens_q and position_ids do not begin the same documents")
    return named


def _check_packed(binding: Binding) -> None:
    for group in binding.groups:
        if isinstance(group.compiled.program, LearnedProgram):
            raise UnsupportedCallError(
                f"several sequences in one row, for each of which pattern {group.compiled.name!r}, which has a seeded"
                " table, would draw anew; put one sequence in each row, with padding"
            )


def _check_positions(position_ids: Tensor, layout: Layout, offset: int, batch: int, starts: tuple[int, ...]) -> None:
    """``starts``: where a row's runs begin that lie apart in the sequence."""
    if layout.documents is not None:
        check_restarts(position_ids, layout.documents, batch)
        return
    for first, end in zip(starts, (*starts[1:], position_ids.shape[1]), strict=True):
        check_positions(position_ids[:, first:end], layout.spans, offset + first)


def _drop(module: nn.Module, entered: Entered | None, layout: Layout) -> None:
    """Tell a cache that drops keys, behind which all of this call are read."""
    if entered is None or entered.cache is None:
        return
    from ..caches.evicting import evicting  # needs transformers

    layer = evicting(entered.cache, module)
    if layer is None:
        return
    if layout.documents is not None:
        raise UnsupportedCallError("packed documents do not go on behind a cache; pass use_cache=False")
    layer.drop(layout.spans)


def _autocast(x: Tensor) -> Tensor:
    """As autocast does for torch's own attention: rotary embeddings leave q and k in float32 and v in bfloat16."""
    kind = x.device.type
    if x.dtype == torch.float64 or not torch.is_autocast_enabled(kind):
        return x
    return x.to(torch.get_autocast_dtype(kind))


def _check_patterns(binding: Binding, causal: bool, query_offset: int, window: int | None) -> None:
    for group in binding.groups:
        name = group.compiled.name
        _check_pattern(name, group.compiled.meaning.direction, group.farthest, causal, window)
        _check_growth(name, query_offset, group.depends_on_length)
    learned = binding.learned
    if learned is not None:  # what is selected may lie anywhere
        _check_pattern(learned.name, learned.direction, None, causal, window)
        _check_growth(learned.name, query_offset, learned.depends_on_length)


def _check_growth(name: str, query_offset: int, depends_on_length: bool) -> None:
    if query_offset > 0 and depends_on_length:
        raise UnsupportedCallError(
            f"pattern {name!r} mentions the length n, so a longer text changes rows that are already"
            " in the cache; pass use_cache=False, or use a pattern without n"
        )


def _check_pattern(name: str, direction: Direction, farthest: int | None, causal: bool, window: int | None) -> None:
    if causal and direction is not Direction.CAUSAL:
        raise UnsupportedCallError(
            f"pattern {name!r} is {direction}, but the layer is causal; declare the pattern causal"
        )
    if window is not None and (farthest is None or farthest >= window):
        raise UnsupportedCallError(
            f"sliding_window={window} is not implemented for pattern {name!r}, which reaches beyond it; {WINDOW_REMEDY}"
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
