"""What attention over lists asks of the CPU, as lists and densely, and so how long it is predicted to take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import tiling
from .lists import KeyLists


class ListEffort(NamedTuple):
    """Of lists as lists. ``wide`` counts are multiplied by the head dimension."""

    lists: float = 0
    pieces: float = 0  # the Python around a kernel call, masks and gathering included
    scores: float = 0
    wide_scores: float = 0
    wide_rows: float = 0  # of queries, once for each piece that they are in
    wide_keys: float = 0  # gathered


class DenseEffort(NamedTuple):
    """Of one attention under a mask."""

    lists: float = 0
    table: float = 0  # numbers of the mask, for each list
    wide_scores: float = 0


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


def list_effort(lists: KeyLists, q: Tensor, key_heads: int) -> ListEffort:
    """By the entries that there are, less those that lie behind their tile in a causal pattern."""
    batch, heads, queries, dim = q.shape
    tiles, slots = lists.entries.shape[2:]
    rows = queries if lists.rows is None else lists.rows.shape[-1]
    if not lists.entries.numel() or not q.numel() or not rows:
        return ListEffort(lists=1)
    size = lists.tile or rows
    read = float(_read(lists, rows)) * lists.block  # keys of a tile, the mean
    most = max(1, tiling.MOST_SCORES // max(1, batch * heads * min(slots * lists.block, tiling.LONGEST_LIST)))
    steps = -(-tiles // max(1, most // size)) if lists.tile else -(-rows // max(tiling.FEWEST_ROWS, most))
    pieces = steps * max(1, math.ceil(read / tiling.LONGEST_LIST)) * (2 if lists.block > 1 else 1)
    scores = batch * heads * rows * read
    gathered = batch * max(key_heads, lists.groups) * (tiles if lists.tile else steps) * read
    return ListEffort(1, pieces, scores, scores * dim, batch * heads * rows * dim * pieces / steps, gathered * dim)


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
