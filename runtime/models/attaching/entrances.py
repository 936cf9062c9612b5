"""What enters the attention modules that are to learn: how wide it is, and how they turn q and k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ...errors import AttachError
from ..calls.binding import PROBE, Entry
from ..calls.entering import hand_on, unturn
from ..calls.rotary import Turn, find_turn
from .discovery import Layer, routed, watch

_TRIED = 64
"""Tokens of which one is looked for that tells something."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """What enters a module: hidden states of ``width``; how its q and k are turned, where that can be undone."""

    width: int
    turn: Turn | None


def find_entrances(model: nn.Module, layers: Sequence[Layer]) -> dict[int, Entrance]:
    """By the number of the layer. The model is left as it was. Raises AttachError for a layer that does not let its
    attention function know what entered it."""
    turned, plain = (_entries(model, layers, rotary=rotary) for rotary in (True, False))
    found = {}
    for layer in layers:
        one, other = (entries.get(id(layer.call.module)) for entries in (turned, plain))
        if one is None or other is None or not isinstance(one.entered.hidden, torch.Tensor):
            raise AttachError(
                f"layer {layer.index} ({layer.name}) does not hand on what enters it, which learned patterns read;"
                " leave it dense with a plan"
            )
        turn = find_turn(layer.call.module, (one.query, one.key), (other.query, other.key), one.entered.rotary)
        found[layer.index] = Entrance(one.entered.hidden.shape[-1], turn)
    return found


def _entries(model: nn.Module, layers: Sequence[Layer], *, rotary: bool) -> dict[int, Entry]:
    """Of the first call of each module, by its id; without ``rotary``, no position turns its q and k."""
    hooks = [hook for layer in layers for hook in _hooks(layer.call.module, rotary=rotary)]
    PROBE.entries = []
    try:
        with routed(model):
            watch(model, dry=True, token=_telling_token(model))
        return {id(entry.module): entry for entry in reversed(PROBE.entries)}
    finally:
        PROBE.entries = None
        for hook in hooks:
            hook.remove()


def _telling_token(model: nn.Module) -> int:
    """Of the first, the one with the longest embedding: that of a padding token is 0, and 0 looks the same however it
    is turned."""
    embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
    return int(embeddings.weight[:_TRIED].detach().float().norm(dim=-1).argmax())


def _hooks(module: nn.Module, *, rotary: bool) -> list[RemovableHandle]:
    return [*([] if rotary else [unturn(module)]), hand_on(module)]
