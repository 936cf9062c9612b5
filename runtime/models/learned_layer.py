"""One call of a layer with a learned pattern."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import AttachError, UnsupportedCallError
from ..learned.attention import LearnedAttention, Selections
from ..learned.front import Front
from ..selectors.inputs import Inputs
from .asked import Asked
from .binding import MODULE, Binding, LearnedLayer
from .entering import Entered
from .layout import Layout
from .rotary import is_rotary
from .watching import Watched


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """q [B, Hq, N, D], k and v [B, Hkv, N, D] as the model made them, and what entered the module."""

    q: Tensor
    k: Tensor
    v: Tensor
    entered: Entered
    scale: float
    spans: Tensor | None


def given(
    module: nn.Module, tensors: tuple[Tensor, Tensor, Tensor], entered: Entered | None, scale: float | None,
    layout: Layout,
) -> Given:  # fmt: skip
    """Raises UnsupportedCallError for what selections cannot be made of."""
    if entered is None or not isinstance(entered.hidden, Tensor):
        raise AttachError(
            f"{type(module).__name__} does not hand its keyword arguments on to its attention function, through which"
            " learned patterns receive hidden states; leave these layers dense with a plan"
        )
    q, k, v = tensors
    if layout.documents is not None:
        raise UnsupportedCallError(
            "several sequences in one row, which learned selections do not keep apart; put one sequence in each row,"
            " with padding"
        )
    if q.shape[2] != k.shape[2]:
        raise UnsupportedCallError(
            f"{q.shape[2]} queries and {k.shape[2]} keys, but learned selections are made over the whole sequence;"
            " pass use_cache=False"
        )
    return Given(q, k, v, entered, q.shape[3] ** -0.5 if scale is None else float(scale), layout.spans)


# What is learned decides with tables whose sizes are data: a graph would break in each of them, so it breaks here.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def run_learned(module: nn.Module, binding: Binding, given: Given, asked: Asked) -> Tensor:
    """out [B, N, Hq, D], as transformers wants it."""
    learned = _attention(module)
    placed = _place(binding, given)
    # Selectors compute in their own data type, and q, k and v are cast as autocast would.
    with torch.autocast(given.q.device.type, enabled=False):
        found = learned(
            placed.q, placed.k, placed.v, inputs=placed.inputs, scale=given.scale, softcap=asked.softcap,
            sinks=asked.sinks, return_selections=True,
        )  # fmt: skip
    _note(binding, given, placed, found.selections)
    out = found.out if placed.front is None else placed.front.put_back(found.out, 2, 0.0)
    return out.transpose(1, 2).contiguous()


@torch.compiler.disable  # type: ignore[untyped-decorator]
def watch_dense(module: nn.Module, binding: Binding, given: Given) -> None:
    """Note a call that the model's own attention computes."""
    if not binding.watching.seen:
        return
    placed, selections = _place(binding, given), None
    if binding.watching.select:
        with torch.autocast(given.q.device.type, enabled=False):
            selections = _attention(module).select(placed.inputs, placed.k, placed.v)
    _note(binding, given, placed, selections)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """With the tokens that exist at the front, and 0 behind them."""

    q: Tensor
    k: Tensor
    v: Tensor
    inputs: Inputs
    front: Front | None


def _place(binding: Binding, given: Given) -> _Placed:
    assert binding.learned is not None
    front = None if given.spans is None else Front(given.spans)
    own = _read(binding.learned, given)
    if front is None:
        return _Placed(given.q, given.k, given.v, Inputs.self_attention(given.entered.hidden, *own), None)
    hidden = front.bring(given.entered.hidden, 1)
    q, k, v, own_q, own_k = (front.bring(x, 2) for x in (given.q, given.k, given.v, *own))
    return _Placed(q, k, v, Inputs.self_attention(hidden, own_q, own_k, front.lengths), front)


def _read(learned: LearnedLayer, given: Given) -> tuple[Tensor, Tensor]:
    """q and k as selectors compare them."""
    if learned.turn is None:
        return given.q, given.k
    if not is_rotary(given.entered.rotary):
        raise AttachError(f"layer {learned.index} was called without the rotary embedding that it had before")
    return learned.turn.undo(given.q, given.k, given.entered.rotary)


def _note(binding: Binding, given: Given, placed: _Placed, selections: Selections | None) -> None:
    assert binding.learned is not None
    if binding.watching.seen:
        watched = Watched(placed.inputs, placed.q, placed.k, given.scale, selections, given.spans)
        for seen in binding.watching.seen:
            seen[binding.learned.index] = watched


def _attention(module: nn.Module) -> LearnedAttention:
    found = getattr(module, MODULE)
    assert isinstance(found, LearnedAttention)
    return found
