"""Some queries of a sequence against its keys: decoding, and prefill in chunks.

The program's ranges say which keys can matter, so that the work of a row grows with the keys that it attends to and
not with the length. What rows see is found once per decoding step and shared by all layers that run the program.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .....compiler.passes.count import tile_count
from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import Order, Program, Range, Sweep
from .....compiler.relations.integer import evaluate
from ... import exact, guard
from ...engine import Call
from ...integers import HOST, require_fit
from ..plan.combs import evenly
from ..plan.place import Gathered
from . import flash
from .sequences import Sequence

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seen:
    """The keys that some of the rows attend to, ascending, and bool [rows, keys]; no mask: every row, every key."""

    keys: slice | Gathered
    count: int
    mask: Tensor | None

    def take(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Those of k and v, [B, H, count, D] of [B, H, n, D]; evenly spaced keys are not copied."""
        if isinstance(self.keys, slice):
            return k[:, :, self.keys], v[:, :, self.keys]
        # In one piece of memory: of two like pieces, glibc gives what is freed back to the system, call by call, whose
        # new pages take longer than one row of attention.
        taken = k.new_empty(2, *k.shape[:2], self.count, k.shape[3])
        key, value = taken.unbind()
        self.keys.take_into(key, k)
        self.keys.take_into(value, v)
        return key, value

    def add(self, target: Tensor, gradient: Tensor) -> None:
        """Add [B, H, count, D] to those keys of [B, H, n, D]."""
        if isinstance(self.keys, slice):
            target[:, :, self.keys].add_(gradient)
        else:
            self.keys.add(target, gradient)


def rows_forward(
    program: Program, part: Sequence, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, call: Call
) -> None:
    """Fill out and lse of the sequence's queries, which hold 0 and -inf."""
    seen = _seen(program, part)
    if seen.count == 0:
        return
    key, value = seen.take(k, v)
    run = partial(_attend, seen.mask, call)
    if not call.check_finite:
        run(q, key, value, out, lse)
        return
    if seen.mask is None and seen.count >= flash.LANES:
        # Every row attends to all of these keys, and what is not finite shows in it; but capped scores are finite, and
        # an infinite key may have a score of -inf, for which a token would wait until all keys are summed up.
        run(q, key, value, out, lse)
        if guard.finite(*((q, key) if call.softcap is not None else ()), out, lse):
            return
    guard.forward(exact.forward(run), q, key, value, out, lse)


def _attend(mask: Tensor | None, call: Call, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> None:
    """Fill out and lse of rows that attend to all of these keys, or to those of ``mask`` [rows, keys]."""
    query, key, value, bias = batched(mask, q, k, v)
    result, result_lse = flash.forward(query, key, value, bias, causal=False, call=call)
    out.copy_(result.reshape(out.shape))
    result_lse = result_lse.reshape(lse.shape)
    if mask is not None:
        result_lse = result_lse.masked_fill(~mask.any(dim=1), -math.inf)
    lse.copy_(result_lse)


def rows_backward(program: Program, part: Sequence, queries: guard.Queries, keys: guard.Keys, call: Call) -> None:
    """Add to dq, dk and dv, the last of each side."""
    k, v, dk, dv = keys
    seen = _seen(program, part)
    if seen.count == 0:
        return
    some = seen.take(k, v)
    taken = (*some, torch.zeros_like(some[0]), torch.zeros_like(some[1]))
    run = partial(_add_gradients, seen.mask, call)
    if call.check_finite:
        forward = exact.forward(partial(_attend, seen.mask, call))
        guard.backward(exact.backward(run, forward), forward, queries, taken)
    else:
        run(queries, taken)
    seen.add(dk, taken[2])
    seen.add(dv, taken[3])


def _add_gradients(mask: Tensor | None, call: Call, queries: guard.Queries, keys: guard.Keys) -> None:
    """As ``_attend``, backward."""
    grad, q, out, lse, dq = queries
    k, v, dk, dv = keys
    query, key, value, bias = batched(mask, q, k, v)
    grad, out, lse = (_grouped(x, query.shape[1:-2]) for x in (grad, out, lse))
    parts = flash.backward(grad, query, key, value, out, lse, bias, causal=False, call=call)
    dq.add_(parts[0].reshape(dq.shape))
    for target, part in zip((dk, dv), parts[1:], strict=True):
        target.add_(part.sum(dim=2) if part.dim() > target.dim() else part)


def batched(mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """q [B, Hkv, G, rows, D]; k and v [B, Hkv, G, keys, D], expanded; the additive mask, expanded.

    Without a mask the query heads of a group are rows of one head, whose keys are then read once. Where G is 1 there is
    no such dim.
    """
    group = 1 if mask is None else q.shape[1] // k.shape[1]
    query = _grouped(q, (k.shape[1], *([group] if group > 1 else [])))
    key, value = flash.rows_contiguous(k), flash.rows_contiguous(v)
    if group > 1:
        key, value = (x.unsqueeze(2).expand(-1, -1, group, -1, -1) for x in (key, value))
    bias = None if mask is None else flash.bias(mask, q.dtype).expand(*query.shape[:-2], -1, -1)
    return query, key, value, bias


def _grouped(x: Tensor, groups: tuple[int, ...]) -> Tensor:
    """[B, Hq, rows, ...] as [B, *groups, all that is left of heads and rows, ...], contiguous."""
    return x.reshape(x.shape[0], *groups, -1, *x.shape[3:]).contiguous()


# Which keys -------------------------------------------------------------------------------------------------------


def _seen(program: Program, part: Sequence) -> Seen:
    return seen_by(program, part.first_position, part.rows, part.length)


def seen_by(program: Program, first: int, rows: int, n: int) -> Seen:
    """As ``find_seen``, looked up."""
    return (_seen_by_one if rows == 1 else _seen_by_many)(Pinned(program), first, rows, n)


def find_seen(program: Program, first: int, rows: int, n: int) -> Seen:
    """What the queries at positions first .. first + rows - 1 attend to in a sequence of length n."""
    require_fit(program, n, HOST)
    positions = np.arange(first, first + rows, dtype=np.int64)
    pieces = [
        each for kernel in program.forward for sweep in kernel.sweeps for each in _swept(program, sweep, positions, n)
    ]
    keys, mask = _united(pieces, rows, n)
    return Seen(evenly(keys) or Gathered(torch.from_numpy(keys)), len(keys), mask)


def _united(pieces: list[_Piece], rows: int, n: int) -> tuple[Positions, Tensor | None]:
    """The keys of all pieces, ascending, and the mask of ``Seen``."""
    used = [piece.kept.any(axis=0) for piece in pieces]
    found = np.zeros(n, dtype=np.bool_)
    for piece, some in zip(pieces, used, strict=True):
        found[piece.keys[some]] = True
    keys = np.flatnonzero(found)
    if rows == 1:
        return keys, None
    mask = np.zeros((rows, len(keys)), dtype=np.bool_)
    for piece, some in zip(pieces, used, strict=True):
        mask[np.ix_(piece.rows, np.searchsorted(keys, piece.keys[some]))] |= piece.kept[:, some]
    return keys, None if mask.all() else torch.from_numpy(mask)


def _find_pinned(pinned: Pinned[Program], first: int, rows: int, n: int) -> Seen:
    return find_seen(pinned.program, first, rows, n)


# A decoding step asks for one row of each sequence of the batch, in layer after layer; a chunk's mask is large.
_seen_by_one = lru_cache(maxsize=64)(_find_pinned)
_seen_by_many = lru_cache(maxsize=2)(_find_pinned)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Of the positions those at ``rows``, some keys, and bool [rows, keys]: the pairs of a term between them."""

    rows: Positions
    keys: Positions
    kept: NDArray[np.bool_]


def _swept(program: Program, sweep: Sweep, positions: Positions, n: int) -> Iterator[_Piece]:
    """What the ranges of a sweep give to the tiles of these queries, tile by tile."""
    term, tile = program.terms[sweep.term], program.tile_of(sweep)
    classes, ranks, there = _locate(term.query, positions)
    for cls, at in sorted(set(zip(classes[there].tolist(), (ranks[there] // tile.query).tolist(), strict=True))):
        rows = np.flatnonzero(there & (classes == cls) & (ranks // tile.query == at))
        key_class, a = term.key_class(cls), ranks[rows, None]
        values = {"I": at, "c": cls, "T": tile_count(term.key, key_class, n, tile.key), "n": n}
        last = term.key.ranks(key_class, n)
        for span, lo, hi in _ends(sweep, values):
            if span.diagonal:
                lo, hi = lo + int(a[0, 0]), hi + int(a[-1, 0])
            else:
                lo, hi = lo * tile.key, hi * tile.key
            b = np.arange(max(0, lo), min(hi, last), dtype=np.int64)
            keys = term.key.token(key_class, b)
            b, keys = b[keys < n], keys[keys < n]
            kept: Any = True
            if span.masked:
                kept = evaluate(term.keep, {"a": a, "b": b, "c": cls, "n": n}, np)
            if span.diagonal:
                kept = kept & (lo - a[0] <= b - a) & (b - a < hi - a[-1])
            yield _Piece(rows, keys, np.broadcast_to(kept, (len(rows), len(keys))))


def _ends(sweep: Sweep, values: dict[str, int]) -> Iterator[tuple[Range, int, int]]:
    """lo and hi of every range, and of every step of a fan."""
    for span in sweep.ranges:
        steps = [0] if span.fan is None else range(*(evaluate(end, values) for end in (span.fan.first, span.fan.last)))
        for step in steps:
            lo, hi = (evaluate(end, {**values, "d": step}) for end in (span.lo, span.hi))
            if hi > lo:
                yield span, lo, hi


def _locate(order: Order, tokens: Positions) -> tuple[Positions, Positions, NDArray[np.bool_]]:
    """(class, rank, whether the token has one)."""
    shifted = tokens - order.start
    period, within = shifted // order.period, shifted % order.period
    if order.classes > 1:
        return within, period, shifted >= 0
    if not order.tiled:
        return np.zeros_like(within), period * order.count + within, (shifted >= 0) & (within < order.count)
    ranks, there = period * order.count, shifted >= 0
    # The digits by falling stride; a smaller one cannot make up for a larger.
    for weight, extent, stride in sorted(order.weighted(), key=lambda digit: -digit[2]):
        digit, within = within // stride, within % stride
        ranks, there = ranks + weight * digit, there & (digit < extent)
    return np.zeros_like(ranks), ranks, there & (within == 0)
