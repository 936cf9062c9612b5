"""Diagonals: each query with the one key at a distance, so many queries at a time; no score is computed in vain.

A diagonal needs no gather: the keys of queries start..stop-1 are the keys start + d..stop + d - 1, a view. Scores are
sums of elementwise products, which are slower than products of matrices, of fewer pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ... import guard
from ...engine import Call
from ..plan.diagonal import Diagonal, Diagonals, chunking


def forward(stage: Diagonals, q: Tensor, k: Tensor, v: Tensor, into: tuple[Tensor, Tensor], call: Call) -> None:
    """Fill out [B, Hq, N, D] and lse [B, Hq, N], of at least single precision, which hold 0 and -inf."""
    out, lse = into
    for part in _parts(q, k):
        queries, totals, norms = (part.queries(x) for x in (q, out, lse))
        keys, values = (part.keys(x).to(out.dtype) for x in (k, v))
        for first, last in part.chunks(stage.rows):
            rows, target = (
                queries[..., first:last, :].to(out.dtype),
                (totals[..., first:last, :], norms[..., first:last]),
            )
            _attend(stage.each, (first, last), rows, keys, values, target, call)


def _attend(
    every: Sequence[Diagonal],
    chunk: tuple[int, int],
    q: Tensor,
    k: Tensor,
    v: Tensor,
    into: tuple[Tensor, Tensor],
    call: Call,
) -> None:
    """Add to out [H, G, rows, D], which holds 0, and fill lse [H, G, rows]."""
    out, lse = into
    touching = [
        (rows, keys, mask) for rows, keys, mask in (one.within(*chunk) for one in every) if rows.stop > rows.start
    ]
    if not touching:
        return
    scores = q.new_full((len(touching), *q.shape[:-1]), -math.inf)
    scratch = torch.empty_like(q)
    for one, (rows, keys, mask) in zip(scores, touching, strict=True):
        _inner(q[..., rows, :], k[..., keys, :], scratch, one[..., rows])
        if mask is not None:
            one[..., rows].masked_fill_(~mask, -math.inf)
    scores.mul_(call.scale)
    if call.softcap is not None:
        # A score of -inf, where there is no pair, must stay one.
        scores = torch.where(scores == -math.inf, scores, (scores / call.softcap).tanh_() * call.softcap)
    top = scores.amax(0)
    top.masked_fill_(top == -math.inf, 0.0)
    scores.sub_(top).exp_()
    total = scores.sum(0)
    lse.copy_(top + total.log())
    scores.div_(total.masked_fill(total == 0, 1.0))
    for one, (rows, keys, _) in zip(scores, touching, strict=True):
        out[..., rows, :].addcmul_(one[..., rows, None], v[..., keys, :])


def _inner(x: Tensor, y: Tensor, scratch: Tensor, into: Tensor) -> None:
    """The product of each row of x with that of y."""
    product = torch.mul(x, y, out=scratch[..., : x.shape[-2], :])
    torch.sum(product, -1, out=into)


def backward(stage: Diagonals, queries: guard.Queries, keys: guard.Keys, call: Call) -> None:
    """Add to dq, dk and dv, the last of each side, given the final out and lse."""
    grad, q, out, lse, dq = queries
    k, v, dk, dv = keys
    for part in _parts(q, k):
        rows = [part.queries(x) for x in (grad, q, out, dq)]
        norms, tokens = part.queries(lse), tuple(part.keys(x) for x in (k, v, dk, dv))
        for first, last in part.chunks(stage.rows):
            chunk = [x[..., first:last, :] for x in rows]
            _add_gradients(stage.each, (first, last), chunk, norms[..., first:last], tokens, call)


def _add_gradients(
    every: Sequence[Diagonal],
    chunk: tuple[int, int],
    queries: Sequence[Tensor],
    lse: Tensor,
    tokens: tuple[Tensor, ...],
    call: Call,
) -> None:
    """Of the queries [H, G, rows, D] of a chunk; keys are [H, 1, N, D]."""
    grad, q, out, dq = queries
    k, v, dk, dv = tokens
    delta, scratch = (grad * out).sum(-1), torch.empty_like(q)
    for one in every:
        rows, keys, mask = one.within(*chunk)
        if rows.stop == rows.start:
            continue
        own = q[..., rows, :], grad[..., rows, :]
        scores, change = (torch.empty_like(delta[..., rows]) for _ in range(2))
        _inner(own[0], k[..., keys, :], scratch, scores)
        _inner(own[1], v[..., keys, :], scratch, change)
        scores.mul_(call.scale)
        if call.softcap is not None:
            scores.div_(call.softcap).tanh_()
        bent = None if call.softcap is None else 1 - scores * scores
        p = (scores if call.softcap is None else scores * call.softcap).sub_(lse[..., rows]).exp_()
        if mask is not None:
            p.masked_fill_(~mask, 0.0)
        ds = change.sub_(delta[..., rows]).mul_(p).mul_(call.scale)
        if bent is not None:
            ds.mul_(bent)
        dq[..., rows, :].addcmul_(ds[..., None], k[..., keys, :])
        _add_products(dk[..., keys, :], ds, own[0])
        _add_products(dv[..., keys, :], p, own[1])


def _add_products(target: Tensor, factor: Tensor, rows: Tensor) -> None:
    """target [H, 1, rows, D] += factor [H, G, rows] * rows [H, G, rows, D], summed over a group."""
    for member in range(rows.shape[1]):
        target[:, 0].addcmul_(factor[:, member, :, None], rows[:, member])


@dataclass(frozen=True, slots=True)
class _Part:
    """Key heads of one batch element, with the query heads that read them."""

    batch: int
    heads: slice
    group: int
    at_once: int  # rows

    def queries(self, x: Tensor) -> Tensor:
        """[B, Hq, N, ...] as [H, G, N, ...], a view."""
        own = x[self.batch, self.heads.start * self.group : self.heads.stop * self.group]
        shape, stride = (own.shape[0] // self.group, self.group, *own.shape[1:]), own.stride()
        return own.as_strided(shape, (stride[0] * self.group, *stride), own.storage_offset())

    def keys(self, x: Tensor) -> Tensor:
        """[B, Hkv, N, D] as [H, 1, N, D]."""
        return x[self.batch, self.heads].unsqueeze(1)

    def chunks(self, rows: int) -> Iterator[tuple[int, int]]:
        for first in range(0, rows, self.at_once):
            yield first, min(first + self.at_once, rows)


def _parts(q: Tensor, k: Tensor) -> Iterator[_Part]:
    """The heads of a call, as many at a time as are few elements, or the rows of one."""
    batch, heads, rows, dim = q.shape
    group = heads // k.shape[1]
    together, at_once = chunking(rows, group, dim)
    for element in range(batch):
        for head in range(0, k.shape[1], together):
            yield _Part(element, slice(head, head + together), group, at_once)
