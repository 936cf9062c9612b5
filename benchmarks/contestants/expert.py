"""What somebody who knows the pattern writes with torch alone: views, flash attention on each, a merge by lse.

No code of patternc takes part. The merge is compiled, and the backward calls torch's own flash backward on each piece
with the final (out, lse), so that the sum over pieces is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from cases import Case
from torch import Tensor
from torch.nn import functional as F

from patternc.runtime.bench.inputs import Inputs

from .contestant import Prepared
from .expert_views import Composition, Piece, compose, keys_of_last

Saved = tuple[Any, ...]
_ops = torch.ops.aten


class Expert:
    name = "expert"

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        if device == "cuda" and dtype == torch.float32:
            return "torch's flash attention computes no float32 on a GPU"
        return None

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        composition = compose(case, inputs.n)
        parts = keys_of_last(case, inputs.n) if case.causal else None

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return torch.stack([_Attention.apply(q[b], k[b], v[b], composition) for b in range(len(q))])

        def attend_one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return _Attention.apply(q[0], k[0], v[0], composition)[None]

        def step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            assert parts is not None
            keys, values = ([part(x) for part in parts] for x in (k, v))
            if len(parts) > 1:
                return F.scaled_dot_product_attention(q, torch.cat(keys, 2), torch.cat(values, 2))
            return F.scaled_dot_product_attention(q, keys[0], values[0])

        one = inputs.q.shape[0] == 1
        facts = {"pieces": len(composition.pieces)}
        return Prepared(attend_one if one else attend, inputs, step if parts else None, facts=facts)


class _Attention(torch.autograd.Function):
    """q, k, v [H, n, D] -> out [H, n, D]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, composition: Composition) -> Tensor:
        packed = [composition.pack(x).flatten(1, 2) for x in (k, v)] if composition.pack else None
        merge = _compiled_merge()
        first, *rest = composition.pieces
        whole, part_lse, saved = _flash(first, q, k, v)
        out, lse = q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=torch.float32)[..., None]
        first.queries(out).copy_(whole)
        first.queries(lse).copy_(part_lse)
        extras = [saved]
        for piece in rest:
            keys, values = packed if piece.packed and packed else (k, v)
            part, part_lse, saved = _flash(piece, q, keys, values)
            merge(piece.queries(out), piece.queries(lse), part, part_lse)
            extras.append(saved)
        ctx.save_for_backward(q, k, v, out, lse, *(packed or ()))
        ctx.composition, ctx.extras = composition, extras
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0]
        q, k, v, out, lse, *packed = ctx.saved_tensors
        dq, dk, dv = (torch.zeros_like(x) for x in (q, k, v))
        packed_grads = [torch.zeros_like(x) for x in packed]
        for piece, saved in zip(ctx.composition.pieces, ctx.extras, strict=True):
            keys, values = packed if piece.packed else (k, v)
            key_grad, value_grad = packed_grads if piece.packed else (dk, dv)
            parts = _flash_backward(piece, grad, q, keys, values, out, lse, saved)
            piece.queries(dq).add_(parts[0])
            piece.keys(key_grad).add_(parts[1])
            piece.keys(value_grad).add_(parts[2])
        if ctx.composition.pack:
            for whole, part in zip((dk, dv), packed_grads, strict=True):
                view = ctx.composition.pack(whole)
                view.add_(part.view(view.shape))
        return dq, dk, dv, None


def _flash(piece: Piece, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Saved]:
    """out [..., rows, D], lse [..., rows, 1], and what the backward wants to have back."""
    q, k, v = (_turned(piece, x) for x in (piece.queries(q), piece.keys(k), piece.keys(v)))
    if q.is_cuda:
        out, lse, *saved = _ops._scaled_dot_product_flash_attention(q, k, v, 0.0, piece.causal)
    else:
        (out, lse), saved = _ops._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, piece.causal), []
    return _turned(piece, out), _turned(piece, lse[..., None]), tuple(saved)


def _flash_backward(
    piece: Piece, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, saved: Saved
) -> list[Tensor]:
    grad, q, out, lse = (_turned(piece, piece.queries(x)) for x in (grad, q, out, lse))
    k, v = (_turned(piece, piece.keys(x)) for x in (k, v))
    lse = lse[..., 0].contiguous()
    if q.is_cuda:
        cum_q, cum_k, max_q, max_k, seed, offset, *_ = saved
        parts = _ops._scaled_dot_product_flash_attention_backward(
            grad, q, k, v, out, lse, cum_q, cum_k, max_q, max_k, 0.0, piece.causal, seed, offset
        )
    else:
        parts = _ops._scaled_dot_product_flash_attention_for_cpu_backward(grad, q, k, v, out, lse, 0.0, piece.causal)
    return [_turned(piece, x) for x in parts]


def _turned(piece: Piece, x: Tensor) -> Tensor:
    return x.flip(-2) if piece.flip else x


@lru_cache(maxsize=1)
def _compiled_merge() -> Callable[[Tensor, Tensor, Tensor, Tensor], None]:
    torch._dynamo.config.recompile_limit = 256
    return torch.compile(_merge, dynamic=False)


def _merge(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    """In place: out [..., rows, D] and lse [..., rows, 1] take a further part of the same softmax."""
    wide = out.float()
    out.copy_(wide + (part.float() - wide) * torch.sigmoid(part_lse - lse))
    lse.copy_(torch.logaddexp(lse, part_lse))
