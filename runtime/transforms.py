"""The call of an engine under the transforms of ``torch.func``: ``grad``, ``vjp``, ``jacrev``, ``vmap``.

torch asks what is differentiated there for its setup apart from its forward pass, which an operator that is registered
with autograd (``op.py``) has not: ``grad`` refuses it, and ``jvp`` passes it over in silence. No engine has a
derivative in forward mode, nor a second one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from .differentiable import TWICE
from .errors import ArgumentError
from .op import attention, attention_backward


# As torch.compiler.disable does, which imports torch._dynamo at once: a second and more of everyone's first compile.
@_disable_dynamo
def transformed(*arguments: Any) -> tuple[Tensor, Tensor]:
    """The operator ``attention`` inside of transforms. torch.compile, which cannot look into them, runs it eagerly."""
    out, lse = _Attention.apply(*arguments)  # type: ignore[no-untyped-call]
    return out, lse


class _Attention(torch.autograd.Function):
    """(out, lse) from the arguments of the operator ``attention``."""

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        out, lse = attention(*arguments)
        return out, lse

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        q, k, v, spans, documents, *rest = inputs
        ctx.rest = rest
        ctx.save_for_backward(q, k, v, *output, spans, documents)
        ctx.set_materialize_grads(False)  # what has no tangent, and no gradient, is None

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        arguments = (*ctx.saved_tensors, *ctx.rest)
        given = torch.zeros_like(arguments[3]) if grad_out is None else grad_out
        gradients = _AttentionBackward.apply(given, grad_lse, *arguments)  # type: ignore[no-untyped-call]
        return (*gradients, *(None for _ in arguments[5:]))

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> NoReturn:
        name = next(name for name, tangent in zip("qkv", tangents, strict=False) if tangent is not None)
        remedy = "use torch.autograd.grad, or torch.func's grad, vjp or jacrev"
        raise ArgumentError(name, "a dual tensor (forward-mode differentiation)", remedy)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return _each(_Attention.apply, info.batch_size, in_dims, arguments)


class _AttentionBackward(torch.autograd.Function):
    """(dq, dk, dv) from the arguments of the operator ``attention_backward``."""

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        dq, dk, dv = attention_backward(*arguments)
        return dq, dk, dv

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is kept for what is refused."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> NoReturn:
        raise RuntimeError(TWICE)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> NoReturn:
        raise RuntimeError(TWICE)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return _each(_AttentionBackward.apply, info.batch_size, in_dims, arguments)


def _each(
    function: Callable[..., Any], count: int, in_dims: tuple[int | None, ...], arguments: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """The function of each element of what is mapped, behind each other: (tensors, their dims that are mapped)."""
    found = [
        function(*(x if dim is None else x.select(dim, at) for x, dim in zip(arguments, in_dims, strict=True)))
        for at in range(count)
    ]
    stacked = tuple(torch.stack(each) for each in zip(*found, strict=True))
    return stacked, (0,) * len(stacked)
