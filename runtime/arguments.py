"""The checks of a call: shapes, data types, devices, heads. Each failure names the argument and the remedy."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import ArgumentError


def check_tensors(q: Tensor, k: Tensor, v: Tensor, *, head_dim: int, dtype: torch.dtype) -> None:
    """q [B, Hq, Nq, D]; k, v [B, Hkv, Nk, D]; one dtype and device; Hq a multiple of Hkv. Raises ArgumentError."""
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not isinstance(tensor, Tensor):
            raise ArgumentError(name, f"a {type(tensor).__name__}", "pass a torch.Tensor")
        if tensor.dim() != 4:
            raise ArgumentError(
                name, f"shape {_shape(tensor)}", "pass four dimensions [batch, heads, tokens, head_dim]"
            )
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.dtype != dtype:
            remedy = f"convert it, or compile with dtype={tensor.dtype}"
            raise ArgumentError(name, f"{tensor.dtype}, but the program was compiled for {dtype}", remedy)
        if tensor.device != q.device:
            raise ArgumentError(name, f"on {tensor.device}, but q is on {q.device}", "move it to the device of q")
        if tensor.shape[3] != head_dim:
            remedy = f"compile with head_dim={tensor.shape[3]}"
            raise ArgumentError(name, f"head_dim {tensor.shape[3]}, but the program has {head_dim}", remedy)
    if v.shape != k.shape:
        raise ArgumentError("v", f"shape {_shape(v)}, but k has {_shape(k)}", "give k and v the same shape")
    if k.shape[0] != q.shape[0]:
        raise ArgumentError("k", f"batch {k.shape[0]}, but q has {q.shape[0]}", "expand it to the batch of q")
    if k.shape[1] == 0 or q.shape[1] % k.shape[1] != 0:
        remedy = "the heads of q must be a multiple of those of k (grouped-query attention)"
        raise ArgumentError("q", f"{q.shape[1]} heads, but k has {k.shape[1]}", remedy)


def check_placement(q: Tensor, k: Tensor, spans: Tensor | None, query_offset: int) -> None:
    """``query_offset`` and ``spans`` against the lengths of q and k. Raises ArgumentError."""
    nq, nk = q.shape[2], k.shape[2]
    if query_offset < 0 or query_offset + nq > nk:
        remedy = "queries are rows query_offset .. query_offset + Nq - 1 of the keys; for decode pass Nk - Nq"
        raise ArgumentError("query_offset", f"{query_offset} with {nq} queries and {nk} keys", remedy)
    if spans is None:
        return
    if not isinstance(spans, Tensor) or spans.dtype != torch.int32 or spans.shape != (q.shape[0], 2):
        found = f"{spans.dtype} {_shape(spans)}" if isinstance(spans, Tensor) else f"a {type(spans).__name__}"
        raise ArgumentError("spans", found, f"pass int32 [{q.shape[0]}, 2]: start and end of each element's keys")
    if spans.device != q.device:
        raise ArgumentError("spans", f"on {spans.device}, but q is on {q.device}", "move it to the device of q")
    # Reading values on a GPU would stop the stream at every call, and a graph under capture has none.
    if spans.device.type == "cpu" and not torch.compiler.is_compiling():
        start, end = spans[:, 0], spans[:, 1]
        if not bool(((start >= 0) & (start <= end) & (end <= nk)).all()):
            raise ArgumentError("spans", f"{spans.tolist()}", f"each must hold 0 <= start <= end <= {nk}")


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
