"""The triton engine: launches the kernels that the compiler generates for a program."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from ....compiler.passes.program import Program
from .. import guard
from ..by_heads import ByHeads
from ..engine import Call, check_head_dim
from .chains import Chains
from .launching import arguments_of, check_device, parts
from .tune import Tuning, tuning_for

if TYPE_CHECKING:
    from .delta import RowNumbers

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class TritonEngine:
    """Attention over a program by generated Triton kernels, on a GPU or in Triton's interpreter.

    q is [B, Hq, Nq, D], k and v [B, Hkv, Nk, D] with Hkv dividing Hq (head h reads key head h // (Hq / Hkv)); any
    strides; fp32, bf16 or fp16. ``spans`` is None or int32 [B, 2], the physical key rows [start, end) that exist in
    each batch element; row r of q stands at physical row ``query_offset + r`` of the key axis.

    Deterministic, forward and backward: no atomics, every sum has one order. ``tuning`` None: as ``tuning_for`` says.
    """

    name = "triton"

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._tuning = tuning

    @torch.no_grad()
    def forward(
        self, program: Program | ByHeads[Program], q: Tensor, k: Tensor, v: Tensor, call: Call
    ) -> tuple[Tensor, Tensor]:
        """(out, lse): out as q, lse fp32 [B, Hq, Nq] in natural log. A row with no key, or outside its span, has
        out 0 and lse -inf.

        Raises EngineUnavailable on a CPU without the interpreter, ValueError where shapes or dtypes do not fit.
        """
        _check(q, k, v, call.spans)
        q, call = _positive_scale(q, call)
        whole = _writes_all(program, "forward", call)
        out = _room(q, q.dtype, whole)
        lse = q.new_empty(q.shape[:3], dtype=torch.float32)
        if not whole:
            lse.fill_(-torch.inf)
        run = partial(_forward, program, call, self._tuned(q))
        with _device(q):
            guard.forward(run, q, k, v, out, lse) if call.check_finite else run(q, k, v, out, lse)
        return out, lse

    @torch.no_grad()
    def backward(
        self,
        program: Program | ByHeads[Program],
        grad_out: Tensor,
        grad_lse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(dq, dk, dv), contiguous, given the final (out, lse) of ``forward``."""
        _check(q, k, v, call.spans)
        grad_out = grad_out.to(q.dtype)
        if not call.check_finite:
            rows = row_numbers(program, grad_out, out, lse, grad_lse, call)
            return self.backward_of_rows(program, grad_out, rows, q, k, v, call)
        grad_out, grad_lse = guard.in_one(grad_out, grad_lse)
        flipped, (q, call) = call.scale < 0, _positive_scale(q, call)
        dq, dk, dv = sums = _sums(program, q, k, v, call)
        settings = (program, call, self._tuned(q))
        with _device(q):
            run, again = partial(_backward, *settings, grad_lse), partial(_forward, *settings)
            guard.backward(run, again, (grad_out, q, out, lse.contiguous(), dq), (k, v, dk, dv))
        return _rounded(sums, q.dtype, flipped)

    @torch.no_grad()
    def backward_of_rows(
        self,
        program: Program | ByHeads[Program],
        grad_out: Tensor,
        rows: RowNumbers,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Likewise, of finite numbers, where ``row_numbers`` was already called: ``rows`` is what it returned, and is
        filled after this; ``grad_out`` has the dtype of q."""
        flipped, (q, call) = call.scale < 0, _positive_scale(q, call)
        dq, dk, dv = sums = _sums(program, q, k, v, call)
        with _device(q):
            _backward_of_rows(program, call, self._tuned(q), rows, (grad_out, q, dq), (k, v, dk, dv))
        return _rounded(sums, q.dtype, flipped)

    def _tuned(self, q: Tensor) -> Tuning | None:
        return self._tuning or tuning_for(q.device)


def _forward(
    program: Program | ByHeads[Program],
    call: Call,
    tuning: Tuning | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
) -> None:
    q, call = _scale_above_zero(q, call)
    for part in parts(q, k, call):
        pointers = part.pick(q_ptr=q, k_ptr=k, v_ptr=v, out_ptr=out, lse_ptr=lse)
        arguments = arguments_of(pointers, part.pick(q=q, k=k, v=v, o=out), part)
        Chains.of(program, q, k, part, tuning).forward(arguments)


def row_numbers(
    program: Program | ByHeads[Program],
    grad_out: Tensor,
    out: Tensor,
    lse: Tensor,
    grad_lse: Tensor | None,
    call: Call,
) -> RowNumbers:
    """What the backward kernels of a program read of each row: for its first kernel to find on the way, where that one
    stores every row, and lse has no gradient."""
    from .delta import RowNumbers, row_delta  # imports triton

    # d lse / d score is p, so that ds = p * (dp - delta + dlse).
    later = grad_lse is None and _writes_all(program, "forward", call)
    return RowNumbers.later(out, lse) if later else row_delta(grad_out, out, lse, grad_lse)


def _backward(
    program: Program | ByHeads[Program],
    call: Call,
    tuning: Tuning | None,
    grad_lse: Tensor | None,
    queries: guard.Queries,
    keys: guard.Keys,
) -> None:
    """``queries``: the gradient of out, q, out, lse and dq; ``keys``: k, v, dk and dv."""
    grad_out, q, out, lse, dq = queries
    rows = row_numbers(program, grad_out, out, lse, grad_lse, call)
    _backward_of_rows(program, call, tuning, rows, (grad_out, q, dq), keys)


def _backward_of_rows(
    program: Program | ByHeads[Program],
    call: Call,
    tuning: Tuning | None,
    rows: RowNumbers,
    queries: tuple[Tensor, Tensor, Tensor],
    keys: guard.Keys,
) -> None:
    """``queries``: the gradient of out, q and dq."""
    (grad_out, q, dq), (k, v, dk, dv) = queries, keys
    for part in parts(q, k, call):
        pointers = part.pick(q_ptr=q, k_ptr=k, v_ptr=v, do_ptr=grad_out, lse_ptr=rows.lse, delta_ptr=rows.delta)
        common = arguments_of(pointers, part.pick(q=q, k=k, v=v, do=grad_out), part)
        gradients = {"backward_query": part.pick(dq_ptr=dq), "backward_key": part.pick(dk_ptr=dk, dv_ptr=dv)}
        found = None if rows.sources is None else part.pick(**rows.sources)
        Chains.of(program, q, k, part, tuning).backward(common, gradients, found)


def _check(q: Tensor, k: Tensor, v: Tensor, spans: Tensor | None) -> None:
    check_device(q.device)
    if q.dim() != 4 or k.dim() != 4 or k.shape != v.shape or q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(
            f"shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}: expected [B, Hq, Nq, D] and twice "
            "[B, Hkv, Nk, D]"
        )
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ValueError(f"{q.shape[1]} query heads are not a multiple of {k.shape[1]} key heads")
    if q.dtype not in _DTYPES or not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"dtypes {q.dtype}, {k.dtype}, {v.dtype}: expected one of fp32, bf16, fp16 for all three")
    if not q.device == k.device == v.device:
        raise ValueError(f"devices differ: {q.device}, {k.device}, {v.device}")
    if spans is not None and (spans.shape != (q.shape[0], 2) or spans.dtype != torch.int32 or spans.device != q.device):
        raise ValueError(f"spans must be int32 [{q.shape[0]}, 2] on {q.device}")
    check_head_dim("triton", q.shape[3])


def _positive_scale(q: Tensor, call: Call) -> tuple[Tensor, Call]:
    """Kernels take the maximum before the scale, which needs scale >= 0: (-q).k * s = q.k * -s."""
    return (q.neg(), replace(call, scale=-call.scale)) if call.scale < 0 else (q, call)


def _writes_all(program: Program | ByHeads[Program], chain: Literal["forward", "backward"], call: Call) -> bool:
    """Whether the first kernel of a chain stores every row of a call."""
    if isinstance(program, ByHeads) or call.spans is not None or call.documents is not None:
        return False
    kernels = program.forward if chain == "forward" else program.backward
    return bool(kernels) and kernels[0].order.covers_all


def _room(like: Tensor, dtype: torch.dtype, whole: bool) -> Tensor:
    """Contiguous, of the shape of ``like``: zeros, or anything where the ``whole`` of it will be stored."""
    return (torch.empty if whole else torch.zeros)(like.shape, dtype=dtype, device=like.device)


def _sums(
    program: Program | ByHeads[Program], q: Tensor, k: Tensor, v: Tensor, call: Call
) -> tuple[Tensor, Tensor, Tensor]:
    """Room for dq, dk and dv."""
    programs = program.programs if isinstance(program, ByHeads) else (program,)
    dq = _room(q, _sum_type(q, max(len(one.forward) for one in programs)), _writes_all(program, "forward", call))
    kind, whole = _sum_type(k, sum(len(one.backward) for one in programs)), _writes_all(program, "backward", call)
    return dq, _room(k, kind, whole), _room(v, kind, whole)


def _rounded(sums: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype, flipped: bool) -> tuple[Tensor, Tensor, Tensor]:
    dq, dk, dv = sums
    return (dq.neg() if flipped else dq).to(dtype), dk.to(dtype), dv.to(dtype)


def _sum_type(like: Tensor, kernels: int) -> torch.dtype:
    """The data type in which so many kernels add up. Two of them round once more than one would, as forward does
    between them; of more the sum is kept in fp32, which is one pass over memory more."""
    return like.dtype if kernels <= 2 else torch.float32


def _device(tensor: Tensor) -> Any:
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _scale_above_zero(q: Tensor, call: Call) -> tuple[Tensor, Call]:
    """Forward kernels mask before the scale too, by -inf, which 0 would make NaN: q.k * 0 = 0.k * 1. What fp32 has no
    normal number for counts as 0."""
    tiny = call.scale < torch.finfo(torch.float32).tiny
    return (torch.zeros_like(q), replace(call, scale=1.0)) if tiny else (q, call)
