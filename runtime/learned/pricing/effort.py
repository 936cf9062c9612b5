"""What attention over lists asks of the CPU, as lists and densely, and so how long it is predicted to take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..lists.key_lists import KeyLists
from ..running import tiling
from ..running.pieces import alike


class ListEffort(NamedTuple):
    """Of lists as lists. ``wide`` counts are multiplied by the head dimension."""

    lists: float = 0
    pieces: float = 0  # the Python around a kernel call, masks and gathering included
    scores: float = 0
    masked: float = 0  # scores of which each may have a mask of its own
    wide_scores: float = 0
    wide_rows: float = 0  # of queries, once for each piece that they are in
    wide_keys: float = 0  # gathered

    def among(self, threads: int) -> ListEffort:
        """Of the busiest thread: what grows with the tensors is shared out, the Python is not."""
        return ListEffort(*(count / threads for count in self))._replace(lists=self.lists, pieces=self.pieces)

    @property
    def python(self) -> ListEffort:
        return ListEffort(self.lists, self.pieces)


class DenseEffort(NamedTuple):
    """Of one attention under a mask."""

    lists: float = 0
    table: float = 0  # numbers of the mask, for each list
    wide_scores: float = 0

    def among(self, threads: int) -> DenseEffort:
        """As of ``ListEffort``."""
        return self._replace(table=self.table / threads, wide_scores=self.wide_scores / threads)


class ListRates(NamedTuple):
    """Seconds per unit of ``ListEffort`` and of ``DenseEffort``."""

    lists: ListEffort
    dense: DenseEffort


@dataclass(frozen=True, slots=True, eq=False)
class Speeds:
    """Rates of a machine in one data type, forward and backward; ``error``: the largest of the fit on its samples."""

    name: str
    forward: ListRates
    backward: ListRates
    error: float

    def rates(self, *, backward: bool) -> ListRates:
        return self.backward if backward else self.forward


def seconds(rates: NamedTuple, effort: NamedTuple) -> float:
    return float(sum(rate * count for rate, count in zip(rates, effort, strict=True)))


@dataclass(frozen=True, slots=True)
class Extent:
    """What a list is of: ``batch``, query and key ``heads`` of width ``dim``, ``rows`` of queries in ``tiles`` of
    ``tile`` (0: one list for all), ``slots`` entries of ``block`` keys, in ``groups``; ``alike``: the queries of a tile
    read the same keys."""

    batch: int
    heads: int
    key_heads: int
    dim: int
    rows: int
    tile: int
    tiles: int
    block: int
    slots: int
    groups: int
    alike: bool

    def effort(self, read: float) -> ListEffort:
        """``read``: keys of a tile, the mean."""
        size, units = self.tile or self.rows, self.batch * self.heads
        most = max(1, tiling.MOST_SCORES // max(1, units * min(self.slots * self.block, tiling.LONGEST_LIST)))
        steps = -(-self.rows // max(tiling.FEWEST_ROWS, most))
        if self.tile:
            steps = -(-self.tiles // max(1, most // size))
        pieces = steps * max(1, math.ceil(read / tiling.LONGEST_LIST))
        if self.block > 1 and not self.alike:  # those that need a mask apart
            pieces *= 2
        scores, wide_rows = units * self.rows * read, units * self.rows * self.dim * pieces / steps
        gathered = self.batch * max(self.key_heads, self.groups) * (self.tiles if self.tile else steps) * read
        masked = 0 if self.alike else scores
        return ListEffort(1, pieces, scores, masked, scores * self.dim, wide_rows, gathered * self.dim)


def list_effort(lists: KeyLists, q: Tensor, key_heads: int) -> ListEffort:
    """By the entries that there are, less those that lie behind their tile in a causal pattern."""
    batch, heads, queries, dim = q.shape
    tiles, slots = lists.entries.shape[2:]
    rows = queries if lists.rows is None else lists.rows.shape[-1]
    if not lists.entries.numel() or not q.numel() or not rows:
        return ListEffort(lists=1)
    own = alike(lists, rows)
    extent = Extent(batch, heads, key_heads, dim, rows, lists.tile, tiles, lists.block, slots, lists.groups, own)
    return extent.effort(float(_read(lists, rows)) * lists.block)


def dense_effort(lists: Sequence[KeyLists], q: Tensor, k: Tensor) -> DenseEffort:
    batch, heads, queries, dim = q.shape
    table, columns = 0, k.shape[2] * any(each.keys is None for each in lists)
    for each in lists:
        own = k.shape[2] if each.keys is None else each.keys.shape[2]
        columns += 0 if each.keys is None else own
        table += batch * (heads if each.head_gate is not None else max(1, each.groups)) * queries * own
    return DenseEffort(len(lists), table, batch * heads * queries * columns * dim)


def _read(lists: KeyLists, rows: int) -> Tensor:
    """Entries of a tile that some of its queries read, the mean over tiles."""
    used, first = lists.entries >= 0, lists.bounds.first
    if lists.bounds.causal and lists.tile:
        end = first + (torch.arange(lists.entries.shape[2], device=used.device)[:, None] + 1) * lists.tile
        used = used & (lists.entries * lists.block < end)
    mean = used.sum(-1).double().mean()
    if lists.bounds.causal and not lists.tile and lists.rows is None:
        return mean * (first + rows / 2) / (first + rows)  # a query reads what is earlier
    return mean
