"""Which tokens each process sends to which, for a pattern and a division of the sequence; and the sending itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.reads import keys_read, read_within
from ..engines.engine import Meaning
from .division import Division


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """Seen from one process, of whose tokens those of each run stand behind each other in a sequence of ``total``:
    ``send``, for each process the tokens of this one that it needs, counted from this one's first; ``receive``, from
    each process the tokens that this one needs, by their places in the sequence. Its own are among both. int64,
    ascending."""

    runs: tuple[range, ...]
    total: int
    send: tuple[Tensor, ...]
    receive: tuple[Tensor, ...]


def plan(meanings: Sequence[Meaning], division: Division, rank: int, device: torch.device | None = None) -> Exchange:
    """The queries of each process read what any of ``meanings`` attends to. Every process finds the same without a word
    of the others."""
    predicates = [read_within(meaning.expression, meaning.direction) for meaning in meanings]
    tokens = [division.places(owner) for owner in range(len(division.runs))]

    def needed(reader: int, owner: int) -> NDArray[np.int64]:
        """Of the tokens of ``owner`` those that ``reader`` needs, counted from the first."""
        found = np.zeros(tokens[owner].shape, dtype=np.bool_)
        for run in filter(len, division.runs[reader]):
            values = {"begin": run.start, "end": run.stop, "n": division.total}
            for predicate in predicates:
                found |= keys_read(tokens[owner], predicate, **values)
        return np.flatnonzero(found)

    send = tuple(torch.from_numpy(needed(reader, rank)).to(device) for reader in range(len(tokens)))
    receive = tuple(torch.from_numpy(own[needed(rank, owner)]).to(device) for owner, own in enumerate(tokens))
    return Exchange(division.runs[rank], division.total, send, receive)


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
