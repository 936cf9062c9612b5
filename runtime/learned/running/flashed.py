"""A piece of a softmax by torch's flash attention for CPUs, gates included: no kernel is new.

Forward, gates join the mask that is added to the scores. Backward they are features of their own, so that the kernel
returns their gradients: a query gets (1, row gate / scale) and a key (gate / scale, 1), which adds both gates to the
score, and the gradients of those features are the scale times the sums of dS over a key's queries and a query's keys. A
column of ones in the values, and d lse in the gradient of out, bring in the gradient of lse.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...engines.compose.running import flash
from ...engines.engine import Call
from ..lists.places import Heads, Places
from .pieces import Piece, bias, log_gates, log_sizes, mask, places
from .products import Folded, Gradients, Scores


def runs(q: Tensor, piece: Piece, scores: Scores) -> bool:
    """Whether the kernel can: it knows no cap, its features divide by the scale, and probes are none of its pairs."""
    return q.device.type == "cpu" and scores.softcap is None and scores.scale != 0 and not piece.lists.probe


def forward(
    piece: Piece, heads: Heads, q: Tensor, keys: Tensor, values: Tensor, scores: Scores
) -> tuple[Tensor, Tensor]:
    """(out, lse [..., rows, 1]) of a piece alone."""
    added = _folded(bias(piece, places(piece, heads), q.dtype), piece, heads, q)
    out, lse = flash.forward(q, *_shared(q, keys, values), added, causal=False, call=Call(scores.scale))
    column = lse[..., None]
    if added is not None and not piece.whole:
        column = column.masked_fill(added.amax(-1, keepdim=True).isneginf(), -torch.inf)
    return out, column


def backward(
    piece: Piece, heads: Heads, rows: Folded, keys: Tensor, values: Tensor, scores: Scores, *, gates: bool
) -> Gradients:
    """``gates``: whether the gradients of gates are asked for."""
    width, q, grad, out = keys.shape[-1], rows.q, rows.grad, rows.out
    at = places(piece, heads)
    if gates:
        of_keys, of_rows = _gates(piece, at, q, keys)
        q = torch.cat([q, torch.ones_like(of_rows), of_rows / scores.scale], -1)
        keys = torch.cat([keys, of_keys / scores.scale, torch.ones_like(of_keys)], -1)
        added = None if piece.whole else flash.bias(mask(piece, at), q.dtype)
    else:
        added = bias(piece, at, q.dtype)
    if rows.grad_lse is not None:
        values = torch.cat([values, torch.ones_like(values[..., :1])], -1)
        grad = torch.cat([grad, rows.grad_lse], -1)
    widest = max(q.shape[-1], values.shape[-1])
    q, keys, values, grad, out = (_padded(x, widest) for x in (q, keys, values, grad, out))
    added = _folded(added, piece, heads, q)
    shared = _shared(q, keys, values)
    dq, dk, dv = flash.backward(grad, q, *shared, out, rows.lse[..., 0], added, causal=False, call=Call(scores.scale))
    sums = (dk[..., width] / scores.scale, dq[..., width + 1] / scores.scale) if gates else (None, None)
    return Gradients(dq[..., :width], dk[..., :width], dv[..., :width], *sums)


def _gates(piece: Piece, at: Places, q: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """What is added to the scores of each key and of each row, as columns [..., keys, 1] and [..., rows, 1]; 0 in the
    place of -inf, which the mask says."""
    of_keys, of_rows = keys.new_zeros(()), q.new_zeros(())
    if piece.lists.gate is not None or piece.lists.log_size is not None:
        first = [] if piece.lists.gate is None else [next(log_gates(piece, at.heads))]
        total = sum((each.to(q.dtype) for each in (*first, *log_sizes(piece, at))), of_keys)
        of_keys = total.masked_fill(total.isneginf(), 0.0)[..., 0, 0, :, None]
    for gate in log_gates(piece, at.heads, of_keys=False):
        of_rows = of_rows + gate.to(q.dtype).masked_fill(gate.isneginf(), 0.0)
    if of_rows.dim():
        sizes = (*q.shape[:4], at.heads.group, piece.size, 1)
        of_rows = of_rows.expand(sizes).flatten(4, 5)
    return of_keys.expand(*keys.shape[:-1], 1), of_rows.expand(*q.shape[:-1], 1)


def _padded(x: Tensor, width: int) -> Tensor:
    """With features of 0 up to so many: a pad of none would be a copy."""
    return F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x


def _folded(added: Tensor | None, piece: Piece, heads: Heads, q: Tensor) -> Tensor | None:
    """What is added to the scores as [B, Hkv, split, tiles, group * rows, keys], with strides of 0 where it can."""
    if added is None:
        return None
    added = added[(None,) * (7 - added.dim())]
    keys = added.shape[-1]
    if added.shape[4] == added.shape[5] == 1:
        return added[:, :, :, :, 0].expand(*q.shape[:-1], keys)
    added = added.expand(-1, -1, -1, -1, heads.group, piece.size, -1).flatten(4, 5)
    return added.expand(*q.shape[:-1], keys)


def _shared(q: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values for all tiles."""
    return keys.expand(*q.shape[:4], -1, -1), values.expand(*q.shape[:4], -1, -1)
