"""The call of an engine without an operator around it.

torch's dispatcher takes about a tenth of a millisecond for an operator that is written in Python, and more with
gradients: at a thousand tokens that is felt. Where nobody but autograd looks on, the engine is called at once. A graph
that is captured, a mode, a transform or another kind of tensor needs the operator (``op.py``) to see what is done.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .engines.engine import Call
from .errors import ArgumentError
from .op import attention, attention_backward, run, run_backward


def attend(q: Tensor, k: Tensor, v: Tensor, key: str, call: Call) -> tuple[Tensor, Tensor]:
    """(out, lse) of a registered program, as the operator gives them. Differentiable."""
    if not _unwatched(q, k, v):
        rest = (call.scale, call.query_offset, call.max_seqlen, call.softcap, call.check_finite)
        found: tuple[Tensor, Tensor] = attention(q, k, v, call.spans, call.documents, key, *rest)
        return found
    if forward_ad._current_level >= 0:
        _refuse_tangents(q=q, k=k, v=v)
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        out, lse = _Attention.apply(q, k, v, call.spans, call.documents, key, call)  # type: ignore[no-untyped-call]
        return out, lse
    return run(key, q, k, v, call)


def _refuse_tangents(**tensors: Tensor) -> None:
    """No engine has a forward-mode derivative, and a kernel would pass its tangent over in silence."""
    for name, tensor in tensors.items():
        if forward_ad.unpack_dual(tensor).tangent is not None:  # type: ignore[no-untyped-call]
            raise ArgumentError(name, "a dual tensor (forward-mode differentiation)", "use torch.autograd.grad")


_PLAIN = (Tensor, torch.nn.Parameter)


def _unwatched(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the operator would be of no use to anyone."""
    return (
        not torch.compiler.is_compiling()
        and (type(q) in _PLAIN and type(k) in _PLAIN and type(v) in _PLAIN)
        and torch._C._get_tracing_state() is None
        and torch._C._len_torch_dispatch_stack() == 0
        and not torch._C._are_functorch_transforms_active()
    )


class _Attention(torch.autograd.Function):
    """What ``op.py`` registers with autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        spans: Tensor | None,
        documents: Tensor | None,
        key: str,
        call: Call,
    ) -> tuple[Tensor, Tensor]:
        out, lse = run(key, q, k, v, call)
        ctx.key, ctx.call = key, call
        # Spans and documents too: one that is changed in place before the backward pass is an error.
        ctx.save_for_backward(q, k, v, spans, documents, out, lse)
        ctx.set_materialize_grads(False)
        return out, lse

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, spans, documents, out, lse = ctx.saved_tensors
        if grad_out is None and grad_lse is None:
            return (None,) * 7
        given = torch.zeros_like(out) if grad_out is None else grad_out
        tensors, call = (given, grad_lse, q, k, v, out, lse), ctx.call
        if torch.is_grad_enabled():  # the operator refuses to be differentiated again
            rest = (call.scale, call.query_offset, call.max_seqlen, call.softcap, call.check_finite)
            gradients = attention_backward(*tensors, spans, documents, ctx.key, *rest)
        else:
            gradients = run_backward(ctx.key, *tensors, call)
        return (*gradients, None, None, None, None)
