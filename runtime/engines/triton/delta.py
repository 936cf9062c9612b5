"""What the backward kernels read of each row, beside q and dO: lse, from which p is rebuilt, and delta =
rowsum(dO * out) - dlse, with which d score = p * (dO.v - delta)."""

# mypy: ignore-errors
# The body below is Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from ....compiler.kernels import launch
from .memory import in_log2, load_rows, matrix, vector

_ELEMENTS = 4096
"""Of a block: 8 of each of two matrices for each of 256 threads, at two loads of 16 bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class RowNumbers:
    """lse and delta, fp32 [B, H, N], contiguous. The lse is in units of log2, and +inf for a row with no key: then
    every exp2(score - lse) is 0.

    Where ``sources`` are given they are not yet there: the first kernel of the gradient of q, which reads dO too, finds
    them from these arguments: out [B, H, N, D] and the lse of forward, contiguous."""

    lse: Tensor
    delta: Tensor
    sources: dict[str, Tensor] | None = None

    @staticmethod
    def later(out: Tensor, lse: Tensor) -> RowNumbers:
        """For the first kernel to find."""
        return RowNumbers(*_room(lse), {"out_ptr": out, "final_ptr": lse.contiguous()})


def row_delta(grad_out: Tensor, out: Tensor, lse: Tensor, grad_lse: Tensor | None) -> RowNumbers:
    """Of grad_out and out [B, H, N, D], lse in natural log and its gradient [B, H, N], any strides. A row with no key,
    whose lse is -inf, has no gradient of it."""
    batch, heads, rows, head_dim = out.shape
    known, delta = _room(lse)
    if delta.numel() == 0:
        return RowNumbers(known, delta)
    width = launch.block_dim(head_dim)
    block = max(1, _ELEMENTS // width)
    grad_lse = None if grad_lse is None else grad_lse.contiguous()
    with torch.cuda.device(out.device) if out.is_cuda else nullcontext():
        _row_delta[(batch * heads * triton.cdiv(rows, block),)](
            grad_out, out, lse.contiguous(), grad_lse, known, delta, *grad_out.stride(), *out.stride(), heads, rows,
            HEAD_DIM=head_dim, BLOCK_D=width, BLOCK=block, num_warps=8, **launch.FUSED,
        )  # fmt: skip
    return RowNumbers(known, delta)


def _room(lse: Tensor) -> tuple[Tensor, Tensor]:
    known, delta = (torch.empty(lse.shape, dtype=torch.float32, device=lse.device) for _ in range(2))
    return known, delta


@triton.jit(do_not_specialize=["heads", "rows"])
def _row_delta(
    do_ptr, out_ptr, lse_ptr, grad_lse_ptr, known_ptr, delta_ptr,
    do_b, do_h, do_n, do_d, o_b, o_h, o_n, o_d, heads, rows,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(rows, BLOCK)
    sequence, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    batch, head = sequence // heads, sequence % heads
    at = block * BLOCK + tl.arange(0, BLOCK)
    live = at < rows
    do = load_rows(matrix(do_ptr, batch, head, do_b, do_h), at, do_n, do_d, live, HEAD_DIM, BLOCK_D).to(tl.float32)
    out = load_rows(matrix(out_ptr, batch, head, o_b, o_h), at, o_n, o_d, live, HEAD_DIM, BLOCK_D).to(tl.float32)
    delta = tl.sum(do * out, 1)
    lse = tl.load(vector(lse_ptr, batch, head, heads, rows) + at, mask=live, other=float("-inf"))
    if grad_lse_ptr is not None:
        grad = tl.load(vector(grad_lse_ptr, batch, head, heads, rows) + at, mask=live, other=0.0)
        delta -= tl.where(lse == float("-inf"), 0.0, grad.to(tl.float32))
    tl.store(vector(known_ptr, batch, head, heads, rows) + at, in_log2(lse), mask=live)
    tl.store(vector(delta_ptr, batch, head, heads, rows) + at, delta, mask=live)
