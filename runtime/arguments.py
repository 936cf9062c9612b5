"""The checks of a call: shapes, data types, devices, heads. Each failure names the argument and the remedy."""

from __future__ import annotations

import math
from operator import index
from typing import TYPE_CHECKING, Any, SupportsFloat

import torch
from torch import Tensor

from .engines.engine import Call
from .errors import ArgumentError

if TYPE_CHECKING:
    from ..compiler.pattern import Pattern


def check_tensors(q: Tensor, k: Tensor, v: Tensor, *, head_dim: int, dtype: torch.dtype) -> None:
    """q [B, Hq, Nq, D]; k, v [B, Hkv, Nk, D]; one dtype and device; Hq a multiple of Hkv. Raises ArgumentError."""
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not isinstance(tensor, Tensor):
            raise ArgumentError(name, f"a {type(tensor).__name__}", "pass a torch.Tensor")
        if tensor.is_nested or tensor.layout != torch.strided:
            found = "a nested tensor" if tensor.is_nested else f"a tensor of layout {tensor.layout}"
            raise ArgumentError(name, found, "pass a dense tensor: sequences of unlike lengths as spans or documents")
        if tensor.dim() != 4:
            raise ArgumentError(
                name, f"shape {_shape(tensor)}", "pass four dimensions [batch, heads, tokens, head_dim]"
            )
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.dtype != dtype:
            remedy = "convert it" + (f", or compile with dtype={tensor.dtype}" if tensor.is_floating_point() else "")
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
    if k.shape[1] == 0 or q.shape[1] == 0 or q.shape[1] % k.shape[1] != 0:
        remedy = "the heads of q must be a multiple of those of k (grouped-query attention)"
        raise ArgumentError("q", f"{q.shape[1]} heads, but k has {k.shape[1]}", remedy)


def number_of(name: str, value: object, remedy: str) -> float:
    """A number, or a tensor that holds one. Raises ArgumentError, also where it would be given no gradient: ``remedy``
    says how it gets one."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Tensor) and value.requires_grad:
        raise ArgumentError(name, "a tensor that needs a gradient", remedy)
    if isinstance(value, Tensor) and (value.numel() != 1 or value.is_complex()):
        raise ArgumentError(name, f"a tensor {_shape(value)} of {value.dtype}", "pass one real number")
    if not isinstance(value, SupportsFloat):
        raise ArgumentError(name, f"{value!r}", "pass a number")
    return float(value)


def scale_of(scale: float | Tensor | None, head_dim: int) -> float:
    """The scale of a call, by default head_dim ** -0.5. Raises ArgumentError."""
    if scale is None:
        return float(head_dim**-0.5)
    return number_of("scale", scale, "multiply q by it, and pass scale=1.0")


def softcap_of(softcap: float | Tensor | None) -> float | None:
    """The cap of a call's scores. Raises ArgumentError."""
    return None if softcap is None else number_of("softcap", softcap, "no engine has that gradient: pass a number")


def count_of(name: str, value: Any) -> int:
    """A number of tokens. Raises ArgumentError."""
    if isinstance(value, int):  # also what stands for one in a graph
        return value
    try:
        return index(value)
    except TypeError:
        raise ArgumentError(name, f"{value!r}", "pass an integer") from None


def flag_of(name: str, value: object) -> bool:
    """True or False. Raises ArgumentError."""
    if not isinstance(value, bool):
        raise ArgumentError(name, f"{value!r}", "pass True or False")
    return value


def seed_of(random: Any) -> int | None:
    """The seed of a control. Raises ArgumentError."""
    if random is None:
        return None
    try:
        if not isinstance(random, bool):
            return index(random)
    except TypeError:
        pass
    raise ArgumentError("random", f"{random!r}", "pass an integer, the seed of frozen controls, or leave it out")


def pattern_of(subject: object) -> Pattern:
    """What is to be compiled. Raises ArgumentError for what is no pattern."""
    from ..compiler.pattern import Pattern  # isl, which the reference engine does without

    if not isinstance(subject, Pattern):
        raise ArgumentError("pattern", f"a {type(subject).__name__}", 'name one: pc.load("FILE")["NAME"]')
    return subject


def check_placement(q: Tensor, k: Tensor, call: Call, *, cross: bool) -> None:
    """Where the queries and keys of a call lie, as far as shapes tell. Raises ArgumentError."""
    nq, nk = q.shape[2], k.shape[2]
    if cross:
        _check_cross(call)
    elif call.query_offset < 0 or call.query_offset + nq > nk:
        remedy = "queries are rows query_offset .. query_offset + Nq - 1 of the keys; for decode pass Nk - Nq"
        raise ArgumentError("query_offset", f"{call.query_offset} with {nq} queries and {nk} keys", remedy)
    if call.spans is not None:
        _check_kind("spans", call.spans, (q.shape[0], 2), "start and end of each element's keys", q)
    if call.documents is not None:
        _check_documents(q, k, call, call.documents)
    elif call.max_seqlen is not None:
        remedy = "give `documents`, or leave it out"
        raise ArgumentError("max_seqlen", f"{call.max_seqlen} without documents", remedy)
    if not -math.inf < call.scale < math.inf:  # math.isfinite ends a graph to which the scale is an input
        raise ArgumentError("scale", f"{call.scale}", "pass a finite number, or None for head_dim ** -0.5")
    if call.softcap is not None and not 0 < call.softcap < math.inf:
        raise ArgumentError("softcap", f"{call.softcap}", "pass a positive number, or None for scores as they are")


def _check_cross(call: Call) -> None:
    if call.query_offset != 0:
        remedy = "the queries of a cross pattern are a sequence of their own: leave it out"
        raise ArgumentError("query_offset", f"{call.query_offset}, but the pattern is a cross pattern", remedy)
    if call.documents is not None:
        remedy = "put one pair of sequences into each batch element, and pass the keys that exist as spans"
        raise ArgumentError("documents", "given to a cross pattern, whose two sides would need two", remedy)


def _check_documents(q: Tensor, k: Tensor, call: Call, documents: Tensor) -> None:
    if q.shape[0] != 1:
        remedy = "pack all documents into one row: [1, heads, tokens, head_dim]"
        raise ArgumentError("documents", f"a batch of {q.shape[0]}", remedy)
    if q.shape[2] != k.shape[2]:
        remedy = "each document attends to itself: pass all of its tokens as queries"
        raise ArgumentError("documents", f"{q.shape[2]} queries and {k.shape[2]} keys", remedy)
    if call.spans is not None:
        raise ArgumentError("spans", "given together with documents", "leave padding out of what is packed")
    count = documents.shape[0] if isinstance(documents, Tensor) and documents.dim() == 1 else 1
    meaning = "where each document begins, and the end of the last: cu_seqlens"
    _check_kind("documents", documents, (max(1, count),), meaning, q)


def _check_kind(name: str, tensor: Tensor, shape: tuple[int, ...], meaning: str, q: Tensor) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype != torch.int32 or tensor.shape != shape:
        found = f"{tensor.dtype} {_shape(tensor)}" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        wanted = f"[{', '.join(map(str, shape))}]" if name == "spans" else "[documents + 1]"
        raise ArgumentError(name, found, f"pass int32 {wanted}: {meaning}")
    if tensor.device != q.device:
        raise ArgumentError(name, f"on {tensor.device}, but q is on {q.device}", "move it to the device of q")


def check_values(k: Tensor, call: Call) -> None:
    """What ``spans`` and ``documents`` hold. Asked on a CPU only: elsewhere it would stop the stream at every call, and
    kernels clip what they read. Raises ArgumentError."""
    nk = k.shape[2]
    if call.spans is not None and call.spans.device.type == "cpu":
        start, end = call.spans[:, 0], call.spans[:, 1]
        if not bool(((start >= 0) & (start <= end) & (end <= nk)).all()):
            raise ArgumentError("spans", f"{call.spans.tolist()}", f"each must hold 0 <= start <= end <= {nk}")
    if call.documents is not None and call.documents.device.type == "cpu":
        lengths = call.documents.diff()
        if int(call.documents[0]) != 0 or int(call.documents[-1]) != nk or bool((lengths < 0).any()):
            remedy = f"they must start at 0, never fall, and end at the number of tokens, {nk}"
            raise ArgumentError("documents", _abridged(call.documents), remedy)
        longest = max(lengths.tolist(), default=0)
        if call.max_seqlen is not None and longest > call.max_seqlen:
            remedy = "pass that, or leave it out"
            raise ArgumentError("max_seqlen", f"{call.max_seqlen}, but a document has {longest} tokens", remedy)


def _abridged(numbers: Tensor) -> str:
    """The first and last of many numbers."""
    shown = [str(number) for number in numbers.tolist()]
    return f"[{', '.join(shown if len(shown) <= 8 else [*shown[:4], '...', *shown[-3:]])}]"


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
