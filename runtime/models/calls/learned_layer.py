"""One call of a layer with a learned pattern."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import AttachError, UnsupportedCallError
from ...learned.attention import LearnedAttention, Selections
from ...learned.pricing.dispatch import Dispatch
from ..masks.layout import Layout
from .asked import Asked
from .binding import MODULE, Binding
from .entered import Entered
from .placing import Placed, place
from .reading import Given, read
from .watching import Watched


def given(
    module: nn.Module,
    tensors: tuple[Tensor, Tensor, Tensor],
    entered: Entered | None,
    cached: Tensor,
    scale: float | None,
    asked: Asked,
    layout: Layout,
) -> Given:
    """Raises UnsupportedCallError for what selections cannot be made of."""
    if entered is None or not isinstance(entered.hidden, Tensor):
        raise AttachError(
            f"{type(module).__name__} does not hand its keyword arguments on to its attention function, through which"
            " learned patterns receive hidden states; leave these layers dense with a plan"
        )
    if layout.documents is not None:
        raise UnsupportedCallError(
            "several sequences in one row, which learned selections do not keep apart; put one sequence in each row,"
            " with padding"
        )
    q, k, v = tensors
    scale = q.shape[3] ** -0.5 if scale is None else float(scale)
    return Given(q, k, v, entered, cached, scale, asked.softcap, layout.spans)


# What is learned decides with tables whose sizes are data: a graph would break in each of them, so it breaks here.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def run_learned(module: nn.Module, binding: Binding, given: Given, asked: Asked) -> Tensor:
    """out [B, M, Hq, D], as transformers wants it."""
    learned, placed = _placed(module, binding, given)
    found = learned(
        placed.q,
        placed.k,
        placed.v,
        inputs=placed.inputs,
        query_offset=placed.first,
        scale=given.scale,
        softcap=given.softcap,
        sinks=asked.sinks,
        return_selections=True,
    )
    _note(binding, given, placed, found.selections, found.dispatch)
    return placed.put_back(found.out).transpose(1, 2).contiguous()


@torch.compiler.disable  # type: ignore[untyped-decorator]
def watch_dense(module: nn.Module, binding: Binding, given: Given) -> None:
    """Note a call that the model's own attention computes, and what its cache must remember."""
    if not binding.watching.seen and given.entered.cache is None:
        return
    learned, placed = _placed(module, binding, given)
    selections = None
    if binding.watching.seen and binding.watching.select:
        selections = learned.select(placed.inputs, placed.k, placed.v, placed.first)
    _note(binding, given, placed, selections)


def _placed(module: nn.Module, binding: Binding, given: Given) -> tuple[LearnedAttention, Placed]:
    assert binding.learned is not None
    learned = getattr(module, MODULE, None)
    if not isinstance(learned, LearnedAttention):
        raise AttachError(f"layer {binding.learned.index} has lost its submodule {MODULE!r}; detach, and attach again")
    found = read(given, binding.learned, learned.learned, everything=bool(binding.watching.seen))
    return learned, place(given, found)


def _note(
    binding: Binding, given: Given, placed: Placed, selections: Selections | None, dispatch: Dispatch | None = None
) -> None:
    assert binding.learned is not None
    if binding.watching.seen:
        watched = Watched(
            placed.inputs.brought(), placed.q, placed.first, placed.k, given.scale, given.softcap, selections,
            given.spans, dispatch,
        )  # fmt: skip
        for seen in binding.watching.seen:
            seen[binding.learned.index] = watched
