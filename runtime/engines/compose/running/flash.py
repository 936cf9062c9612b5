"""torch's own flash attention for CPUs, over strided batches of any rank, forward and backward.

The kernel takes four dimensions. A batch here has more (batch, key head, query head of the group, class, tile), some
with stride 0 or with overlapping blocks, so that nothing is copied: neighbours are merged where the strides of every
tensor allow it, and what remains is a loop over the shorter dimensions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ...engine import Call
from . import capped

# Bound to Python as torch's other functions are: a call by ``torch.ops`` takes a third longer to begin.
_FORWARD = torch._scaled_dot_product_flash_attention_for_cpu
_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


def rows_contiguous(x: Tensor) -> Tensor:
    """The kernel reads whole rows: the features of a token must be adjacent."""
    return x if x.stride(-1) == 1 else x.contiguous()


def rows_apart(q: Tensor) -> Tensor:
    """The kernel lays its output out in the order of q's strides, and writes whole rows into it whatever that is: no
    other dimension may be as close as the features are, as heads are that are views of one signal a number apart."""
    if 1 not in q.stride()[:-1]:
        return q
    beside = zip(q.shape[:-1], q.stride()[:-1], strict=True)
    return q.contiguous() if any(size > 1 and stride == 1 for size, stride in beside) else q


def _attend(q: Tensor, *rest: Any, **options: Any) -> tuple[Tensor, Tensor]:
    out, lse = _FORWARD(rows_apart(q), *rest, **options)
    return out, lse


LANES = 64
"""Of fewer keys than a vector register holds, at most, the kernel takes a row whose scores are all NaN for one without
keys: its out is 0."""


def bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where the mask is True, -inf elsewhere."""
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, -math.inf)


Write: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], None]
"""What becomes of (out, lse) where the kernel has found (part, part_lse)."""


def overwrite(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    out.copy_(part)
    lse.copy_(part_lse)


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    *,
    causal: bool,
    call: Call,
    into: tuple[Tensor, Tensor] | None = None,
    write: Write = overwrite,
) -> tuple[Tensor, Tensor]:
    """out [..., rows, D] and lse [..., rows] of q [..., rows, D], k and v [..., keys, D], mask [..., rows, keys].

    ``mask`` is additive. A row whose mask is all -inf gives out 0 and an lse of no meaning. Of ``call`` scale and
    softcap count. The result goes to the tensors ``into``, where they are given, part by part in the way of ``write``.
    """
    if into is None:
        wide = torch.promote_types(q.dtype, torch.float32)
        into = torch.empty(q.shape, dtype=q.dtype), torch.empty(q.shape[:-1], dtype=wide)
    out, lse = into
    if call.softcap is not None:
        write(*into, *capped.forward(q, k, v, mask, capped.Scores(call.scale, call.softcap, causal)))
        return into
    q, k, v = (rows_contiguous(x) for x in (q, k, v))
    if q.dim() == 4 and q.numel():
        write(*into, *_attend(q, k, v, 0.0, causal, attn_mask=mask, scale=call.scale))
        return into
    tensors = [q, k, v, out, lse.unsqueeze(-1), *([mask] if mask is not None else [])]
    for q4, k4, v4, out4, lse4, *mask4 in _four_dimensional(tensors):
        part, part_lse = _attend(q4, k4, v4, 0.0, causal, attn_mask=mask4[0] if mask4 else None, scale=call.scale)
        write(out4, lse4.squeeze(-1), part, part_lse)
    return into


def forward_plain(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """As ``forward`` for four dimensions, without a mask: what the kernel returns, in whatever order it lies."""
    found: tuple[Tensor, Tensor] = _attend(q, k, v, 0.0, False, scale=scale)
    return found


def forward_alone(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, causal: bool, call: Call
) -> tuple[Tensor, Tensor] | None:
    """As ``forward`` for q, k, v [B, H, ..., D] and a mask [rows, keys], without a copy of the kernel's output; None
    where there must be one."""
    if call.softcap is not None or (one := one_head_each(q, k, v)) is None:
        return None
    query, key, value = one
    out, lse = _attend(query, key, value, 0.0, causal, attn_mask=_for_each(mask, query), scale=call.scale)
    return out.view(q.shape), lse.view(q.shape[:-1])


def backward_alone(
    tensors: tuple[Tensor, ...], lse: Tensor, mask: Tensor | None, *, causal: bool, call: Call
) -> tuple[Tensor, Tensor, Tensor] | None:
    """As ``backward`` for the tensors (grad, q, k, v, out), all [B, H, ..., D], and a mask [rows, keys], without a copy
    of what the kernel returns; None where there must be one."""
    if call.softcap is not None or (one := one_head_each(*tensors)) is None:
        return None
    each = lse.reshape(-1, 1, lse.shape[-1])
    parts = _BACKWARD(*one, each, 0.0, causal, attn_mask=_for_each(mask, one[0]), scale=call.scale)
    dq, dk, dv = (part.view(tensor.shape) for part, tensor in zip(parts, tensors[1:4], strict=True))
    return dq, dk, dv


def one_head_each(*tensors: Tensor) -> list[Tensor] | None:
    """The tensors [B, H, rows, D] as [B * H, 1, rows, D], of which the kernel's results are contiguous: it lays heads
    behind tokens. None where heads are not alike, or are not evenly spaced."""
    found = []
    batch, heads, *_ = tensors[0].shape
    for x in tensors:
        _, own, rows, dim = x.shape
        if own != heads:
            return None
        if x.is_contiguous():
            found.append(x.view(batch * heads, 1, rows, dim))
            continue
        x = rows_contiguous(x)
        element, head, *rest = x.stride()
        if batch > 1 and heads > 1 and element != heads * head:
            return None
        found.append(x.as_strided((batch * heads, 1, rows, dim), (head if heads > 1 else element, 0, *rest)))
    return found


def _for_each(mask: Tensor | None, q: Tensor) -> Tensor | None:
    return None if mask is None else mask.expand(q.shape[0], 1, -1, -1)


def backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    mask: Tensor | None,
    *,
    causal: bool,
    call: Call,
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk, dv of one part of a softmax whose whole has the given out and lse; shapes as in ``forward``."""
    if call.softcap is not None:
        return capped.backward(grad, q, k, v, out, lse, mask, capped.Scores(call.scale, call.softcap, causal))
    grad, q, k, v, out = (rows_contiguous(x) for x in (grad, q, k, v, out))
    tensors = [grad, q, k, v, out, lse.unsqueeze(-1), *([mask] if mask is not None else [])]
    if (swapped := _as_one(tensors)) is not None:  # what the kernel returns is the result, without a copy
        [views] = _four_dimensional(tensors)
        parts = _gradients(views, causal=causal, call=call)
        dq, dk, dv = (part.transpose(0, 1) if swapped else part for part in parts)
        return dq.view(q.shape), dk.view(k.shape), dv.view(v.shape)
    dq, dk, dv = (torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in (q, k, v))
    for dq4, dk4, dv4, *views in _four_dimensional([dq, dk, dv, *tensors]):
        for target, part in zip((dq4, dk4, dv4), _gradients(views, causal=causal, call=call), strict=True):
            target.copy_(part)
    return dq, dk, dv


def _gradients(views: Sequence[Tensor], *, causal: bool, call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """Of grad, q, k, v, out, lse as a column, and perhaps a mask."""
    *tensors, lse = views[:6]
    mask = views[6] if len(views) > 6 else None
    found: tuple[Tensor, Tensor, Tensor] = _BACKWARD(
        *tensors, lse.squeeze(-1), 0.0, causal, attn_mask=mask, scale=call.scale
    )
    return found


def _as_one(tensors: Sequence[Tensor]) -> bool | None:
    """Where there is one four-dimensional view of the tensors: whether its batch dims are in the other order."""
    if tensors[0].dim() == 4:
        return False if tensors[0].numel() else None
    sizes, _ = _merged(tensors)
    return sizes[0] < sizes[1] if len(sizes) == 2 and all(sizes) else None


def _four_dimensional(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors, all [batch dims..., rows, columns] with equal batch dims, as views [x, y, rows, columns]; of the
    batch dims x is the longest, y the next one."""
    if tensors[0].dim() == 4:
        if tensors[0].numel():
            yield list(tensors)
        return
    sizes, strides = _merged(tensors)
    if not all(sizes):
        return
    keep = sorted(range(len(sizes)), key=lambda dim: -sizes[dim])[:2]
    rest = [dim for dim in range(len(sizes)) if dim not in keep]
    for index in itertools.product(*(range(sizes[dim]) for dim in rest)):
        views = []
        for tensor, own in zip(tensors, strides, strict=True):
            offset = tensor.storage_offset() + sum(i * own[dim] for i, dim in zip(index, rest, strict=True))
            shape = [*(sizes[dim] for dim in keep), *tensor.shape[-2:]]
            views.append(tensor.as_strided(shape, [*(own[dim] for dim in keep), *tensor.stride()[-2:]], offset))
        yield views


def _merged(tensors: Sequence[Tensor]) -> tuple[list[int], list[list[int]]]:
    """Batch sizes and, per tensor, strides, with neighbouring dims merged where all tensors agree; at least two."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in tensors]
    for dim, size in enumerate(tensors[0].shape[:-2]):
        if size == 1:
            continue
        own = [tensor.stride(dim) for tensor in tensors]
        if sizes and all(s[-1] == stride * size for s, stride in zip(strides, own, strict=True)):
            sizes[-1] *= size
            for s, stride in zip(strides, own, strict=True):
                s[-1] = stride
        else:
            sizes.append(size)
            for s, stride in zip(strides, own, strict=True):
                s.append(stride)
    while len(sizes) < 2:
        sizes.append(1)
        for s in strides:
            s.append(0)
    return sizes, strides
