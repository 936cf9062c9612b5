"""delta of every row, which the backward kernels start from: rowsum(dO * O) - dlse, in one pass over both."""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...compiler.kernels.launch import block_dim
from .memory import load_rows, matrix, vector

_LANES = 64
_MOST_HEADS = 65535
"""Along axis 1 of a grid."""


def row_deltas(grad_out: Tensor, out: Tensor, grad_lse: Tensor | None, lse: Tensor) -> Tensor:
    """fp32 [B, Hq, Nq], contiguous, of grad_out and out [B, Hq, Nq, D], any strides, and grad_lse and lse [B, Hq, Nq].
    A row without a key, with lse -inf, has no gradient of it."""
    batch, heads, rows, width = out.shape
    delta = torch.empty(out.shape[:3], dtype=torch.float32, device=out.device)
    lse = lse.contiguous()
    grad_lse = None if grad_lse is None else grad_lse.float().contiguous()
    most = max(1, _MOST_HEADS // max(1, heads))
    with torch.cuda.device(out.device) if out.is_cuda else nullcontext():
        for start in range(0, batch if delta.numel() else 0, most):
            part = slice(start, min(batch, start + most))
            grad, own = grad_out[part], out[part]
            row_delta[(triton.cdiv(rows, _LANES), heads * grad.shape[0])](
                grad, own, None if grad_lse is None else grad_lse[part], lse[part], delta[part], *grad.stride(),
                *own.stride(), heads, rows, HEAD_DIM=width, BLOCK_D=block_dim(width), LANES=_LANES,
            )  # fmt: skip
    return delta


@triton.jit
def row_delta(
    do_ptr, out_ptr, dlse_ptr, lse_ptr, delta_ptr, do_b, do_h, do_n, do_d, o_b, o_h, o_n, o_d, heads, Nq,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    i = tl.program_id(0) * LANES + tl.arange(0, LANES)
    live = i < Nq
    do = load_rows(matrix(do_ptr, batch, head, do_b, do_h), i, do_n, do_d, live, HEAD_DIM, BLOCK_D)
    out = load_rows(matrix(out_ptr, batch, head, o_b, o_h), i, o_n, o_d, live, HEAD_DIM, BLOCK_D)
    delta = tl.sum(do.to(tl.float32) * out.to(tl.float32), 1)
    if dlse_ptr is not None:
        dlse = tl.load(vector(dlse_ptr, batch, head, heads, Nq) + i, mask=live, other=0.0)
        lse = tl.load(vector(lse_ptr, batch, head, heads, Nq) + i, mask=live, other=0.0)
        delta -= tl.where(lse == float("-inf"), 0.0, dlse)
    tl.store(vector(delta_ptr, batch, head, heads, Nq) + i, delta, mask=live)
