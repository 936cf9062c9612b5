"""The triton engine: launches the kernels that the compiler generates for a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...compiler.kernels import launch
from ...compiler.kernels.kernel_file import kernels
from ...compiler.passes.program import Program
from ..errors import EngineUnavailable
from .engine import Call

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_LARGEST_GRID_Y = 65535


class TritonEngine:
    """Attention over a program by generated Triton kernels, on a GPU or in Triton's interpreter.

    q is [B, Hq, Nq, D], k and v [B, Hkv, Nk, D] with Hkv dividing Hq (head h reads key head h // (Hq / Hkv)); any
    strides; fp32, bf16 or fp16. ``spans`` is None or int32 [B, 2], the physical key rows [start, end) that exist in
    each batch element; row r of q stands at physical row ``query_offset + r`` of the key axis.
    """

    name = "triton"

    @torch.no_grad()
    def forward(self, program: Program, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor]:
        """(out, lse): out as q, lse fp32 [B, Hq, Nq] in natural log. A row with no key, or outside its span, has
        out 0 and lse -inf.

        Raises EngineUnavailable on a CPU without the interpreter, ValueError where shapes or dtypes do not fit.
        """
        _check(q, k, v, call.spans)
        q, call = _positive_scale(q, call)
        out = torch.zeros_like(q)
        lse = torch.full(q.shape[:3], -torch.inf, dtype=torch.float32, device=q.device)
        with _device(q):
            for part in _parts(q, k, call):
                pointers = part.pick(q_ptr=q, k_ptr=k, v_ptr=v, out_ptr=out, lse_ptr=lse)
                arguments = _arguments(pointers, part.pick(q=q, k=k, v=v, o=out), part)
                for index in range(len(program.forward)):
                    _launch(program, "forward", index, arguments, part)
        return out, lse

    @torch.no_grad()
    def backward(
        self,
        program: Program,
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
        flipped = call.scale < 0
        q, call = _positive_scale(q, call)
        grad_out, lse = grad_out.to(q.dtype), lse.contiguous()
        delta = (grad_out.float() * out.float()).sum(-1)
        if grad_lse is not None:
            # d lse / d score is p, so that ds = p * (dp - delta + dlse). A row with no key has no gradient.
            delta = delta - grad_lse.float().masked_fill(lse == -torch.inf, 0.0)
        dq = _gradient(q, len(program.forward))
        dk, dv = (_gradient(x, len(program.backward)) for x in (k, v))
        with _device(q):
            for part in _parts(q, k, call):
                pointers = part.pick(q_ptr=q, k_ptr=k, v_ptr=v, do_ptr=grad_out, lse_ptr=lse, delta_ptr=delta)
                common = _arguments(pointers, part.pick(q=q, k=k, v=v, do=grad_out), part)
                for index in range(len(program.forward)):
                    _launch(program, "backward_query", index, common | part.pick(dq_ptr=dq), part)
                for index in range(len(program.backward)):
                    _launch(program, "backward_key", index, common | part.pick(dk_ptr=dk, dv_ptr=dv), part)
        dq = dq.neg() if flipped else dq
        return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def interpreted() -> bool:
    """Whether Triton runs its kernels in its interpreter. Triton reads the variable when a kernel is defined."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


def precision(backend: str) -> str:
    """How fp32 blocks are multiplied. tf32x3 splits each factor in three tensor-core products, and keeps fp32's
    accuracy to a few units in the last place; AMD's compiler multiplies in fp32 itself, and so does the interpreter."""
    return {"cuda": "tf32x3", "hip": "ieee"}.get(backend, "fp32")


def _check(q: Tensor, k: Tensor, v: Tensor, spans: Tensor | None) -> None:
    if not q.is_cuda and not interpreted():
        raise EngineUnavailable(
            f"the triton engine cannot run on device {q.device}: move the tensors to a GPU, choose engine='compose', "
            "or set TRITON_INTERPRET=1 before the first import of triton (slow; for tests)"
        )
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
    if q.shape[3] > 256:
        raise ValueError(f"head dimension {q.shape[3]} is over 256")


def _positive_scale(q: Tensor, call: Call) -> tuple[Tensor, Call]:
    """Kernels take the maximum before the scale, which needs scale >= 0: (-q).k * s = q.k * -s."""
    return (q.neg(), replace(call, scale=-call.scale)) if call.scale < 0 else (q, call)


def _gradient(like: Tensor, kernels_in_chain: int) -> Tensor:
    """Zeros, contiguous; in fp32 where several kernels add up."""
    dtype = torch.float32 if kernels_in_chain > 1 else like.dtype
    return torch.zeros(like.shape, dtype=dtype, device=like.device)


def _device(tensor: Tensor) -> Any:
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


@dataclass(frozen=True, slots=True)
class _Part:
    """As many sequences as fit axis 1 of a grid: what of a batch they lie in, and what says where."""

    batch: slice
    spans: Tensor | None
    sequences: int
    queries: int  # at most, in one sequence
    keys: int
    call: Call

    def pick(self, **tensors: Tensor) -> dict[str, Tensor]:
        return {name: tensor[self.batch] for name, tensor in tensors.items()}


def _parts(q: Tensor, k: Tensor, call: Call) -> Iterator[_Part]:
    batch, heads, queries, keys = *q.shape[:3], k.shape[2]
    step = max(1, _LARGEST_GRID_Y // max(1, heads))
    if call.documents is None:
        for start in range(0, batch, step):
            part = slice(start, min(start + step, batch))
            spans = None if call.spans is None else call.spans[part].contiguous()
            yield _Part(part, spans, part.stop - start, queries, keys, call)
        return
    edges = call.documents.contiguous()
    longest = keys if call.max_seqlen is None else min(keys, call.max_seqlen)
    if edges.device.type == "cpu":  # elsewhere a look at them would stop the stream
        longest = max(edges.diff().tolist(), default=0)
    for start in range(0, len(edges) - 1, step):
        stop = min(start + step, len(edges) - 1)
        yield _Part(slice(0, 1), edges[start : stop + 1], stop - start, longest, longest, call)


def _arguments(pointers: dict[str, Tensor], strided: dict[str, Tensor], part: _Part) -> dict[str, Any]:
    q, k = strided["q"], strided["k"]
    strides = {f"{name}_{axis}": x.stride(at) for name, x in strided.items() for at, axis in enumerate("bhnd")}
    sizes = {"heads": q.shape[1], "group": q.shape[1] // k.shape[1], "Nq": q.shape[2], "Nk": k.shape[2]}
    return {
        **pointers,
        **strides,
        **sizes,
        "spans_ptr": part.spans,
        "query_offset": part.call.query_offset,
        "scale": float(part.call.scale),
    }


@lru_cache
def _machine(device: torch.device) -> tuple[str, int]:
    """(backend, bytes of shared memory that a program instance may use)."""
    if device.type == "cpu" or interpreted():
        return "interpreter", 1 << 30
    if torch.version.hip:
        return "hip", launch.SHARED_MEMORY["gfx942"]
    properties: Any = torch.cuda.get_device_properties(device)  # torch's stub lacks the attribute
    return "cuda", int(properties.shared_memory_per_block_optin)


def _launch(program: Program, role: launch.Role, index: int, arguments: dict[str, Any], part: _Part) -> None:
    q, call = arguments["q_ptr"], part.call
    heads, head_dim = q.shape[1], q.shape[3]
    backend, shared = _machine(q.device)
    chosen = launch.options(role, program.tile, head_dim, q.element_size(), shared)
    if role == "backward_key":
        order, heads = program.backward[index].order, arguments["k_ptr"].shape[1]
        blocks = launch.key_blocks(order, chosen.block_k, part.keys)
    else:
        order = program.forward[index].order
        blocks = launch.query_blocks(order, chosen.block_q, part.queries, call.query_offset, part.keys)
    if blocks * part.sequences * heads == 0:
        return
    getattr(kernels(program, role), f"{role}_{index}")[(blocks, part.sequences * heads)](
        **arguments,
        HEAD_DIM=head_dim,
        BLOCK_D=launch.block_dim(head_dim),
        BLOCK_Q=chosen.block_q,
        BLOCK_K=chosen.block_k,
        PRECISION=precision(backend),
        PACKED=call.documents is not None,
        SOFTCAP=call.softcap or 0.0,
        num_warps=chosen.num_warps,
        num_stages=chosen.num_stages,
    )
