"""Lists as if every query might read every key: what they do not hold is closed. A list is then one dense table."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..lists.key_lists import KeyLists
from ..lists.places import Heads
from .pieces import Piece, bias, places


def widened(lists: KeyLists, queries: int, keys: int) -> KeyLists:
    """The same pairs and gates, with an entry for each of ``keys`` keys in its place and a row for each query."""
    count = -(-keys // lists.block)
    shape = (*lists.entries.shape[:3], count + 1)
    # Slots that hold none go to a place behind the last.
    at = lists.entries.where(lists.entries >= 0, count)

    def spread(x: Tensor | None, absent: float) -> Tensor | None:
        if x is None:
            return None
        table = torch.full(shape, absent, dtype=x.dtype, device=x.device)
        return table.scatter(-1, at, x.detach().expand(at.shape))[..., :count]

    entries = spread(lists.entries, -1)
    assert entries is not None
    wide = replace(
        lists,
        entries=entries,
        since=spread(lists.since, 0),
        until=spread(lists.until, 0),
        gate=spread(lists.gate, -torch.inf),
    )
    return wide if lists.rows is None else _all_rows(wide, lists.rows, queries)


def _all_rows(lists: KeyLists, rows: Tensor, queries: int) -> KeyLists:
    gate = torch.zeros(rows.shape, device=rows.device) if lists.row_gate is None else lists.row_gate.detach()
    closed = torch.full((*rows.shape[:2], queries), -torch.inf, dtype=gate.dtype, device=rows.device)
    return replace(lists, rows=None, row_gate=closed.scatter(-1, rows, gate.expand(rows.shape)))


def dense_bias(lists: KeyLists, heads: int, key_heads: int, queries: int, keys: int, dtype: torch.dtype) -> Tensor:
    """[B or 1, Hkv or 1, group or 1, queries, keys], group = heads / key_heads: the log-gates of the pairs that the
    lists hold, with the sizes of summaries; -inf elsewhere."""
    wide = widened(lists, queries, keys)
    shape = Heads.of(heads, key_heads, lists.groups)
    tiles = wide.entries.shape[2]
    size = wide.tile or queries
    slots = torch.arange(wide.entries.shape[-1], device=wide.entries.device).expand(wide.entries.shape)
    piece = Piece(wide, 0, queries, tiles, size, slice(0, tiles), slots)
    added = bias(piece, places(piece, shape), dtype)
    assert added is not None  # a piece that is not whole has a mask
    added = added[(None,) * (7 - added.dim())]
    added = added.expand(*added.shape[:3], tiles, -1, size, wide.entries.shape[-1] * wide.block)
    # [B, Hkv, split, tiles, group, size, keys]: of split and group one is 1.
    return added.transpose(3, 4).flatten(2, 3).flatten(3, 4)[:, :, :, :queries, :keys]
