"""Which tokens each process sends to which, for a pattern and a division of the sequence; and the sending itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ...compiler.reads import keys_read, read_within
from ..engines.engine import Meaning


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """Seen from one process, whose tokens begin at ``begin`` in a sequence of ``total``: ``send``, for each process the
    tokens of this one that it needs, counted from ``begin``; ``receive``, from each process the tokens that this one
    needs, by their places in the sequence. Its own are among both. int64, ascending."""

    begin: int
    total: int
    send: tuple[Tensor, ...]
    receive: tuple[Tensor, ...]


def plan(meanings: Sequence[Meaning], sizes: Sequence[int], rank: int, device: torch.device | None = None) -> Exchange:
    """Process r has ``sizes[r]`` tokens behind those of process r - 1, and its queries read what any of ``meanings``
    attends to. Every process finds the same without a word of the others."""
    ends = list(accumulate(sizes))
    starts = [end - size for end, size in zip(ends, sizes, strict=True)]
    total, ranks = ends[-1], range(len(sizes))
    predicates = [read_within(meaning.expression, meaning.direction) for meaning in meanings]

    def needed(reader: int, owner: int) -> Tensor:
        """Of the tokens of ``owner`` those that ``reader`` needs, counted from the first."""
        keys = np.arange(starts[owner], ends[owner])
        found = np.zeros(keys.shape, dtype=np.bool_)
        if sizes[reader]:
            run = {"begin": starts[reader], "end": ends[reader], "n": total}
            for predicate in predicates:
                found |= keys_read(keys, predicate, **run)
        return torch.from_numpy(np.flatnonzero(found)).to(device)

    send = tuple(needed(reader, rank) for reader in ranks)
    receive = tuple(needed(rank, owner) + starts[owner] for owner in ranks)
    return Exchange(starts[rank], total, send, receive)


def fetch(
    k: Tensor, v: Tensor, exchange: Exchange, count: int, group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """k and v [B, Hkv, count, D] of the first ``count`` tokens of the sequence, from those of this process
    [B, Hkv, N, D]: 0 where it needs none. Their gradients go back to the processes that have them."""
    keys, values = _Fetch.apply(k, v, exchange, count, group)  # type: ignore[no-untyped-call]
    return keys, values


class _Fetch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, k: Tensor, v: Tensor, exchange: Exchange, count: int, group: dist.ProcessGroup | None
    ) -> tuple[Tensor, Tensor]:
        ctx.exchange, ctx.group, ctx.shape = exchange, group, k.shape
        got = _swap((k, v), exchange.send, exchange.receive, group)
        whole = k.new_zeros(2, *k.shape[:2], count, k.shape[3])
        keys, values = whole.index_copy_(3, torch.cat(exchange.receive), got.movedim(0, 3)).unbind(0)
        return keys, values

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        exchange: Exchange = ctx.exchange
        got = _swap(slopes, exchange.receive, exchange.send, ctx.group)
        wide = torch.promote_types(got.dtype, torch.float32)  # a key may be read by many processes
        own = got.new_zeros(2, *ctx.shape, dtype=wide)
        # Process after process, so that a sum has one order.
        for tokens, part in zip(exchange.send, torch.split(got, _sizes(exchange.send)), strict=True):
            own[:, :, :, tokens] += part.movedim(0, 3)
        k, v = own.to(got.dtype).unbind(0)
        return k, v, None, None, None


def _swap(
    pair: tuple[Tensor, ...], send: tuple[Tensor, ...], receive: tuple[Tensor, ...], group: dist.ProcessGroup | None
) -> Tensor:
    """[tokens, 2, B, Hkv, D] of those to ``receive``, for those to ``send`` of both tensors [B, Hkv, N, D]."""
    places = torch.cat(send)
    rows = torch.stack([x.index_select(2, places) for x in pair]).movedim(3, 0).contiguous()
    got = rows.new_empty(sum(_sizes(receive)), *rows.shape[1:])
    dist.all_to_all_single(got, rows, _sizes(receive), _sizes(send), group=group)
    return got


def _sizes(parts: tuple[Tensor, ...]) -> list[int]:
    return [len(part) for part in parts]
