"""Attention over lists of keys, gathered piece by piece: on any device, in bounded memory.

One softmax has many parts: ``add`` merges the lists' pairs into (out, lse), and ``gradients`` is called with the final
ones of all parts. With P = e^(score - lse) of the whole, delta = <dout, out> - dlse and dS = P (dout v^T - delta),

    dq = scale dS k      dk = scale dS^T q      dv = P^T dout      d log gate = dS, summed over the gate's pairs

For a probe, of a gate that is 0, the same sum of P (dout v^T - delta) with P as if the gate were 1 is d gate itself.
A piece is computed by torch's flash attention where that can be (``flashed.py``), else in ``products.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...engines.compose.running.stages import merge
from ..lists.key_lists import KeyLists
from ..lists.places import Heads, parted
from . import flashed, products
from .entries import Entries
from .pieces import Piece, fold, unfold
from .products import Folded, Gradients, Scores
from .tiling import pieces


def add(lists: KeyLists, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scores: Scores) -> None:
    """Merge into out [B, Hq, Nq, D] and lse [B, Hq, Nq], both of the accumulator's data type, in place."""
    if lists.probe:
        return
    heads = Heads.of(q.shape[1], k.shape[1], lists.groups)
    own_q, own_out, own_lse = (_taken(x, lists) for x in (q, out, lse[..., None]))
    keys, values = Entries.of(k, lists, "keys", out.dtype), Entries.of(v, lists, "values", out.dtype)
    for piece in pieces(lists, heads, q.shape[0], own_q.shape[2]):
        query = fold(own_q, piece, heads).to(out.dtype)
        run = flashed.forward if flashed.runs(q, piece, scores) else products.forward
        part, part_lse = run(piece, heads, query, keys.take(piece, heads), values.take(piece, heads), scores)
        rows = slice(piece.first, piece.last)
        part, part_lse = unfold(part, piece, heads), unfold(part_lse, piece, heads)[..., 0]
        merge(own_out[:, :, rows], own_lse[:, :, rows, 0], part, part_lse)
    if lists.rows is not None:
        out.copy_(_put(out, own_out, lists))
        lse.copy_(_put(lse[..., None], own_lse, lists)[..., 0])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Of the whole softmax, for each query: out and its gradient [B, Hq, Nq, D]; delta, lse and the gradient of lse, if
    it has one, [B, Hq, Nq, 1]. lse is finite."""

    out: Tensor
    grad: Tensor
    delta: Tensor
    lse: Tensor
    grad_lse: Tensor | None

    @classmethod
    def of(cls, grad: Tensor, grad_lse: Tensor | None, out: Tensor, lse: Tensor) -> Rows:
        """From out and its gradient, lse and its gradient [B, Hq, Nq], in the data type of lse. A query without a key,
        whose lse is -inf, has no gradient."""
        dead, out, grad = lse.isneginf(), out.to(lse.dtype), grad.to(lse.dtype)
        delta = (grad * out).sum(-1)
        if grad_lse is not None:
            grad_lse = grad_lse.to(lse.dtype).masked_fill(dead, 0.0)
            delta, grad_lse = delta - grad_lse, grad_lse[..., None]
        return cls(out, grad, delta[..., None], lse.masked_fill(dead, 0.0)[..., None], grad_lse)

    def taken(self, lists: KeyLists) -> Rows:
        """Those that lists are of."""
        if lists.rows is None:
            return self
        out, grad, delta, lse = (_taken(x, lists) for x in (self.out, self.grad, self.delta, self.lse))
        return Rows(out, grad, delta, lse, None if self.grad_lse is None else _taken(self.grad_lse, lists))

    def folded(self, q: Tensor, piece: Piece, heads: Heads) -> Folded:
        q, grad, out, delta, lse = (
            fold(x, piece, heads).to(self.lse.dtype) for x in (q, self.grad, self.out, self.delta, self.lse)
        )
        grad_lse = None if self.grad_lse is None else fold(self.grad_lse, piece, heads)
        return Folded(q, grad, out, delta, lse, grad_lse)


def gradients(
    lists: KeyLists,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    whole: Rows,
    sums: tuple[Tensor, Tensor, Tensor],
    scores: Scores,
    *,
    gates: bool,
) -> dict[str, Tensor]:
    """Add to ``sums``, the gradients of q, k and v, and return those of ``lists.learned()``, by name; of gates they are
    0 unless they are asked for."""
    heads = Heads.of(q.shape[1], k.shape[1], lists.groups)
    dtype = whole.lse.dtype
    own_q, rows = _taken(q, lists), whole.taken(lists)
    keys, values = Entries.of(k, lists, "keys", dtype), Entries.of(v, lists, "values", dtype)
    found = {name: torch.zeros(x.shape, dtype=dtype, device=x.device) for name, x in lists.learned().items()}
    gates = gates and any("gate" in name for name in found)
    dq = sums[0] if lists.rows is None else torch.zeros(own_q.shape, dtype=dtype, device=q.device)
    of_keys, of_values = found.get("keys", sums[1]), found.get("values", sums[2])
    dk, dv = keys.totals(of_keys), values.totals(of_values)
    for piece in pieces(lists, heads, q.shape[0], own_q.shape[2]):
        folded = rows.folded(own_q, piece, heads)
        key, value = keys.take(piece, heads), values.take(piece, heads)
        if flashed.runs(q, piece, scores):
            part = flashed.backward(piece, heads, folded, key, value, scores, gates=gates)
        else:
            part = products.backward(piece, heads, folded, key, value, scores)
        if gates:
            _add_gates(found, part, piece, heads)
        if not lists.probe:
            keys.add(piece, heads, part.keys, dk)
            values.add(piece, heads, part.values, dv)
            dq[:, :, piece.first : piece.last] += unfold(part.q, piece, heads)
    if lists.rows is not None:
        sums[0].scatter_add_(2, _row_index(dq, lists), dq)
    keys.finish(of_keys, dk)
    values.finish(of_values, dv)
    return found


def _add_gates(found: dict[str, Tensor], part: Gradients, piece: Piece, heads: Heads) -> None:
    """Add the sums of dS over the pairs of each gate."""
    assert part.by_key is not None and part.by_row is not None
    if "gate" in found:
        by_entry = parted(part.by_key, 4, -1, piece.lists.block).sum(-1)  # [B, Hkv, split, tiles, slots]
        target = found["gate"][:, :, piece.place]
        target.scatter_add_(-1, piece.slots, _grouped(by_entry, piece.slots.shape))
    by_head = unfold(part.by_row[..., None], piece, heads)[..., 0]  # [B, Hq, rows]
    if "row_gate" in found:
        rows = found["row_gate"][..., piece.first : piece.last]
        by_group = by_head if rows.shape[1] == heads.query else parted(by_head, 1, heads.key, -1).sum(2)
        rows += by_group.sum_to_size(rows.shape)
    if "head_gate" in found:
        found["head_gate"] += by_head.sum((0, 2))


def _grouped(x: Tensor, shape: torch.Size) -> Tensor:
    """[B, Hkv, split, ...] summed to [B or 1, G, ...]."""
    x = x.flatten(1, 2) if shape[1] == x.shape[1] * x.shape[2] else x.sum(2)
    return x.sum_to_size(shape)


def _row_index(like: Tensor, lists: KeyLists) -> Tensor:
    assert lists.rows is not None
    rows = lists.rows.repeat_interleave(like.shape[1] // lists.rows.shape[1], 1)
    return rows[..., None].expand(like.shape[0], like.shape[1], -1, like.shape[-1])


def _taken(x: Tensor, lists: KeyLists) -> Tensor:
    """The rows that the lists are of, [B, Hq, R, D]."""
    return x if lists.rows is None else x.gather(2, _row_index(x, lists))


def _put(x: Tensor, rows: Tensor, lists: KeyLists) -> Tensor:
    return x.scatter(2, _row_index(rows, lists), rows)
