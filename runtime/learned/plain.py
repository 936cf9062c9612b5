"""Whether a layer that learns is called by plain PyTorch: what looks into it finds tables whose sizes are data."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from ..errors import ArgumentError


def check_plain(q: Tensor, others: Iterable[Tensor | None]) -> None:
    """Raises ArgumentError under torch.export and what else writes a graph down, the transforms of torch.func, and
    differentiation in forward mode of q or of ``others``."""
    if torch.compiler.is_exporting() or torch._C._get_tracing_state() is not None or _written_down():
        remedy = (
            "export the model without its attachment (`handle.removed()`), or with the plain plan that `patternc"
            " freeze` makes of learned gates; torch.compile runs such a layer eagerly"
        )
        raise ArgumentError("q", "a tensor of a graph that is written down, as by torch.export", remedy)
    if torch._C._are_functorch_transforms_active() or is_legacy_batchedtensor(q):
        remedy = "use torch.autograd.grad or backward, with a loop over what would be mapped"
        raise ArgumentError("q", "a tensor inside a transform of torch.func, as grad or vmap", remedy)
    if forward_ad._current_level >= 0 and any(
        forward_ad.unpack_dual(each).tangent is not None  # type: ignore[no-untyped-call]
        for each in (q, *others)
        if each is not None
    ):
        raise ArgumentError("q", "a call with dual tensors (forward-mode differentiation)", "use torch.autograd.grad")


def _written_down() -> bool:
    """Whether operations are recorded as by make_fx, on which no selection can be looked at."""
    found: bool = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
    return found
