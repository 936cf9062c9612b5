"""Attention over lists in plain matrix products over gathered keys: on any device, in bounded memory.

One softmax has many parts: ``add`` merges the lists' pairs into (out, lse), and ``gradients`` is called with the final
ones of all parts. With P = e^(score - lse) of the whole, delta = <dout, out> - dlse and dS = P (dout v^T - delta),

    dq = scale dS k      dk = scale dS^T q      dv = P^T dout      d log gate = dS, summed over the gate's pairs

For a probe, of a gate that is 0, the same sum of P (dout v^T - delta) with P as if the gate were 1 is d gate itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from .lists import KeyLists
from .pieces import Piece, fold, log_gates, mask, pieces, places, unfold
from .places import Heads, parted


@dataclass(frozen=True, slots=True)
class Scores:
    """scale multiplies q.k; with ``softcap`` a score s then becomes softcap * tanh(s / softcap), before any gate."""

    scale: float
    softcap: float | None = None

    def of(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor | float]:
        """(scores, their derivative by q.k)."""
        raw = q @ k.mT * self.scale
        if self.softcap is None:
            return raw, self.scale
        bent = torch.tanh(raw / self.softcap)
        return self.softcap * bent, self.scale * (1 - bent * bent)


def add(lists: KeyLists, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scores: Scores) -> None:
    """Merge into out [B, Hq, Nq, D] and lse [B, Hq, Nq], both of the accumulator's data type, in place."""
    if lists.probe:
        return
    heads = Heads.of(q.shape[1], k.shape[1], lists.groups)
    own_q, own_out, own_lse = (_taken(x, lists) for x in (q, out, lse[..., None]))
    keys, values = _Table.of(k, lists, "keys", out.dtype), _Table.of(v, lists, "values", out.dtype)
    for piece in pieces(lists, heads, q.shape[0], own_q.shape[2]):
        logits, _ = _logits(
            piece, lists, fold(own_q, piece, heads).to(out.dtype), keys.take(piece, heads), scores, heads
        )
        norm = logits.logsumexp(-1, keepdim=True)
        weights = torch.exp(logits - norm.masked_fill(norm.isneginf(), 0.0))
        part = unfold(weights @ values.take(piece, heads), piece, heads)
        part_lse = unfold(norm, piece, heads)
        rows = slice(piece.first, piece.last)
        merge(own_out[:, :, rows], own_lse[:, :, rows], part, part_lse)
    if lists.rows is not None:
        out.copy_(_put(out, own_out, lists))
        lse.copy_(_put(lse[..., None], own_lse, lists)[..., 0])


def merge(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    """Add a disjoint part to the softmax in out [..., D] and lse [..., 1], in place."""
    total = torch.logaddexp(lse, part_lse)
    kept, added = (torch.exp(x - total).nan_to_num_(0.0) for x in (lse, part_lse))
    out.mul_(kept).addcmul_(part, added)
    lse.copy_(total)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Of the whole softmax, for each query: grad [B, Hq, Nq, D], delta and lse [B, Hq, Nq, 1]; lse is finite."""

    grad: Tensor
    delta: Tensor
    lse: Tensor


def gradients(
    lists: KeyLists, q: Tensor, k: Tensor, v: Tensor, whole: Rows, sums: tuple[Tensor, Tensor, Tensor], scores: Scores
) -> dict[str, Tensor]:
    """Add to ``sums``, the gradients of q, k and v, and return those of ``lists.learned()``, by name."""
    heads = Heads.of(q.shape[1], k.shape[1], lists.groups)
    dtype = whole.grad.dtype
    own_q, grad, delta, lse = (_taken(x, lists) for x in (q, whole.grad, whole.delta, whole.lse))
    keys, values = _Table.of(k, lists, "keys", dtype), _Table.of(v, lists, "values", dtype)
    found = {name: torch.zeros(x.shape, dtype=dtype, device=x.device) for name, x in lists.learned().items()}
    dq = torch.zeros(own_q.shape, dtype=dtype, device=q.device)
    for piece in pieces(lists, heads, q.shape[0], own_q.shape[2]):
        query, slope = fold(own_q, piece, heads).to(dtype), fold(grad, piece, heads)
        key, value = keys.take(piece, heads), values.take(piece, heads)
        logits, steep = _logits(piece, lists, query, key, scores, heads)
        weights = torch.exp(logits - fold(lse, piece, heads))
        ds = weights * (slope @ value.mT - fold(delta, piece, heads))
        _add_gates(found, ds, piece, lists, heads)
        if lists.probe:
            continue
        values.add(piece, heads, weights.mT @ slope)
        ds = ds * steep
        keys.add(piece, heads, ds.mT @ query)
        dq[:, :, piece.first : piece.last] += unfold(ds @ key, piece, heads)
    if lists.rows is None:
        sums[0].add_(dq)
    else:
        sums[0].scatter_add_(2, _row_index(dq, lists), dq)
    for table, name, target in ((keys, "keys", sums[1]), (values, "values", sums[2])):
        found.get(name, target).add_(table.gradient())
    return found


def _logits(
    piece: Piece, lists: KeyLists, query: Tensor, key: Tensor, scores: Scores, heads: Heads
) -> tuple[Tensor, Tensor | float]:
    """Scores with their gates, -inf where there is no pair, [B, Hkv, split, tiles, group * rows, keys]; their
    derivative by q.k."""
    raw, steep = scores.of(query, key)
    logits = parted(raw, 4, heads.group, piece.size)
    at = places(piece, lists, heads)
    if not lists.probe:
        for gate in log_gates(piece, lists, heads):
            logits = logits + gate.to(logits.dtype)
    if lists.log_size is not None:
        # The last block may be ragged.
        behind = lists.log_size.shape[1] - 1
        sizes = replace(at, key=at.key.clamp(max=behind)).by_key(lists.log_size[:, None])
        logits = logits + sizes.to(logits.dtype)
    return logits.masked_fill(~mask(piece, lists, at), -torch.inf).flatten(4, 5), steep


def _add_gates(found: dict[str, Tensor], ds: Tensor, piece: Piece, lists: KeyLists, heads: Heads) -> None:
    """Add the sums of dS over the pairs of each gate."""
    pairs = parted(ds, 4, heads.group, piece.size)
    if "gate" in found:
        by_entry = parted(pairs.sum((4, 5)), 4, -1, lists.block).sum(-1)  # [B, Hkv, split, tiles, slots]
        target = piece.cut(found["gate"])
        target += _grouped(by_entry, target.shape)
    if "row_gate" in found:
        by_row = pairs.sum(-1).transpose(3, 4).flatten(4, 5)  # [B, Hkv, split, group, tiles * rows]
        rows = found["row_gate"][..., piece.first : piece.last]
        by_group = by_row.sum(3) if rows.shape[1] != heads.query else by_row.flatten(1, 3)[:, :, None]
        rows += _grouped(by_group[..., : piece.last - piece.first], rows.shape)
    if "head_gate" in found:
        found["head_gate"] += pairs.sum((0, 3, 5, 6)).flatten()


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


class _Table:
    """Keys, or values, by entry; and the gradients that are added to them."""

    def __init__(self, x: Tensor, block: int, entries: Tensor) -> None:
        self.shape, self.block, self.entries = x.shape, block, entries
        short = -x.shape[2] % block
        padded = F.pad(x, (0, 0, 0, short)) if short else x
        self.flat = padded.reshape(-1, block * x.shape[3])  # every block of every key head of every element
        self.blocks = padded.shape[2] // block
        self.sums: Tensor | None = None

    @classmethod
    def of(cls, tokens: Tensor, lists: KeyLists, name: str, dtype: torch.dtype) -> _Table:
        own = lists.learned().get(name)
        return cls((tokens if own is None else own).to(dtype), lists.block, lists.entries)

    def take(self, piece: Piece, heads: Heads) -> Tensor:
        """[B, Hkv, split, tiles or 1, keys, D]."""
        index = self._index(piece, heads)
        own = self.flat.index_select(0, index.flatten()).view(*index.shape, self.block, self.shape[3])
        return own.flatten(-3, -2)

    def add(self, piece: Piece, heads: Heads, gradient: Tensor) -> None:
        if self.sums is None:
            self.sums = torch.zeros_like(self.flat)
        index = self._index(piece, heads)
        self.sums.index_add_(0, index.flatten(), gradient.reshape(index.numel(), -1))

    def gradient(self) -> Tensor:
        """[B, Hkv, N, D]."""
        sums = torch.zeros_like(self.flat) if self.sums is None else self.sums
        return sums.view(*self.shape[:2], -1, self.shape[3])[:, :, : self.shape[2]]

    def _index(self, piece: Piece, heads: Heads) -> Tensor:
        """int64 [B, Hkv, split, tiles or 1, slots], rows of ``flat``."""
        entries = heads.spread(piece.cut(self.entries).clamp_min(0))
        owner = torch.arange(self.shape[0] * heads.key, device=entries.device).view(-1, heads.key, 1, 1, 1)
        return owner * self.blocks + entries
