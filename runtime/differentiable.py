"""A derivative that has none of its own: who asks for one is told, rather than given the part that other ways have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]

TWICE = "a gradient of attention is not differentiated again: no engine has a second derivative"


def once(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """From ``backward(ctx, saved, *gradients)``, with what was saved, that of an autograd function: its gradients
    cannot be differentiated, which is an error. What the function was called with must be among what it saves.

    torch's ``once_differentiable`` is silent where the incoming gradient depends on nothing, as that of a sum, and
    where the derivative by an input is asked for by name: the gradients were constants then."""

    @wraps(backward)
    def refusing(ctx: Any, *gradients: Tensor | None) -> Gradients:
        saved = ctx.saved_tensors  # once: checkpointing gives them away
        with torch.no_grad():
            found = backward(ctx, saved, *gradients)
        given = [each for each in (*saved, *gradients) if each is not None and each.requires_grad]
        if not torch.is_grad_enabled() or not given:
            return found
        there = [each for each in found if each is not None]
        marked = iter(_Last.apply(len(there), *there, *given))  # type: ignore[no-untyped-call]
        return tuple(None if each is None else next(marked) for each in found)

    return refusing


class _Last(torch.autograd.Function):
    """The first ``count`` tensors, as something that depends on the others and has no derivative."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(each.detach() for each in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> NoReturn:
        raise RuntimeError(TWICE)
