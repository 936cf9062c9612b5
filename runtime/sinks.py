"""Attention sinks: one logit per head that joins the softmax of every query and yields nothing (gpt-oss ``s_aux``).

Independent of the engine, because (out, lse) says all of a softmax that a further logit s can change:

    out' = out * exp(lse) / (exp(lse) + exp(s))        lse' = log(exp(lse) + exp(s))

The gradient of s, and its part in those of q, k and v, flows through the gradient of lse.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import ArgumentError


def check_sinks(q: Tensor, sinks: Tensor) -> None:
    """One number for each query head, where q is. Raises ArgumentError."""
    if not isinstance(sinks, Tensor) or not sinks.is_floating_point() or sinks.shape != (q.shape[1],):
        found = f"{sinks.dtype} {tuple(sinks.shape)}" if isinstance(sinks, Tensor) else f"a {type(sinks).__name__}"
        raise ArgumentError("sinks", found, f"pass one logit for each query head: floating point [{q.shape[1]}]")
    if sinks.device != q.device:
        raise ArgumentError("sinks", f"on {sinks.device}, but q is on {q.device}", "move it to the device of q")


def join_sinks(out: Tensor, lse: Tensor, sinks: Tensor) -> tuple[Tensor, Tensor]:
    """(out [B, H, N, D], lse [B, H, N]) with sinks [H] in the softmax. A row without a key keeps out 0; its lse is the
    sink. A sink of -inf changes nothing."""
    logit = sinks.to(lse.dtype)[None, :, None]
    # lse - s is -inf - -inf where a row has neither a key nor a sink: the gradient of a logarithm of 0 would be NaN.
    neither = (lse == -torch.inf) & (logit == -torch.inf)
    share = torch.sigmoid((lse - logit).masked_fill(neither, 0.0))
    total = torch.logaddexp(lse.masked_fill(neither, 0.0), logit).masked_fill(neither, -torch.inf)
    return (out * share[..., None]).to(out.dtype), total
