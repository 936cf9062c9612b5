"""Dense attention on a GPU, by torch's own flash kernel, which knows no pattern: (out, lse), and their gradients.

Lengths at which that is a pattern are for ``or_dense.py`` to say. Head dimensions are multiples of 8 up to 192, beyond
which its backward pass has limits of its own on some cards.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from .compose.running.flash import one_head_each, rows_apart, rows_contiguous

_FORWARD = torch.ops.aten._scaled_dot_product_flash_attention.default
_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_backward.default

MOST_BATCHES = 65535
"""Of the kernel's grid."""

MOST_DIM = 192

Three = tuple[Tensor, Tensor, Tensor]


class Dense(Protocol):
    """A kernel of dense attention. q, out, grad [B, Hq, Nq, D], k and v [B, Hkv, Nk, D], Hkv dividing Hq, lse [B, Hq,
    Nq], float32, natural logarithm; ``causal`` where Nq = Nk; scale > 0; features of a token are adjacent."""

    def takes(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> bool:
        """Whether the kernel runs these, here."""
        ...

    def forward(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
        """(out, lse)."""
        ...

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, *, causal: bool, scale: float
    ) -> Three:
        """(dq, dk, dv), from the gradient of out alone."""
        ...


class Flash:
    """torch's flash attention for CUDA devices. Its backward pass adds up dq in no fixed order, unless torch is told to
    use deterministic algorithms."""

    def takes(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> bool:
        """What torch itself would run by this kernel, and nothing that it would have to pad before."""
        if q.device.type != "cuda" or torch.version.hip or q.shape[3] % 8 or q.shape[3] > MOST_DIM:
            return False
        backends: Any = torch.backends.cuda  # torch's stub lacks what follows
        asked = backends.SDPAParams(q, k, v, None, 0.0, causal, q.shape[1] != k.shape[1])
        return bool(backends.can_use_flash_attention(asked, False))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
        q = rows_apart(q)
        one = _apart(q, k, v)
        out, lse, *_ = _FORWARD(*(one or (q, k, v)), 0.0, causal, False, scale=scale)
        return (out.reshape(q.shape), lse.reshape(q.shape[:-1])) if one else (out, lse)

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, *, causal: bool, scale: float
    ) -> Three:
        grad, out = rows_contiguous(grad), rows_contiguous(out)
        one = _apart(grad, q, k, v, out)
        tensors = one or [grad, q, k, v, out]
        each = lse.reshape(-1, 1, lse.shape[-1]) if one else lse
        # Nothing is dropped: there are no random numbers, and no borders of packed sequences.
        state = (
            torch.empty(2, dtype=torch.uint64, device=q.device),
            torch.empty((), dtype=torch.uint64, device=q.device),
        )
        rest = (None, None, q.shape[2], k.shape[2], 0.0, causal, *state)
        found: Three = _BACKWARD(*tensors, each, *rest, scale=scale)
        dq, dk, dv = (part.reshape(x.shape) if one else part for part, x in zip(found, (q, k, v), strict=True))
        return dq, dk, dv


def _apart(*tensors: Tensor) -> list[Tensor] | None:
    """The tensors with a batch element for each head, of which the kernel's results are contiguous as they are; None
    where that would be a copy, or is more than the kernel's grid holds."""
    batch, heads = tensors[0].shape[:2]
    return one_head_each(*tensors) if batch * heads <= MOST_BATCHES else None


def kernel_for(device: torch.device) -> Dense | None:
    """The kernel of a device; None where there is none."""
    return _FLASH if device.type == "cuda" else None


_FLASH = Flash()
