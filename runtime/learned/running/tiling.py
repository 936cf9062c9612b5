"""From lists to pieces of bounded size; entries that need no mask are pieces of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..lists.key_lists import KeyLists
from ..lists.places import Heads
from .pieces import Piece, alike
from .whole import whole_entries

MOST_SCORES = 1 << 20
"""Of one piece, as far as one tile and one entry allow: of larger ones the memory goes back to the system each time."""

FEW_SCORES = 1 << 14
"""Of a piece: to look for the entries that need no mask takes longer than the mask."""

LONGEST_LIST = 1 << 11
"""Keys of one piece."""

FEWEST_ROWS = 64
"""Of a piece of a list for all queries, where there are so many."""


def pieces(lists: KeyLists, heads: Heads, batch: int, rows: int) -> Iterator[Piece]:
    """Every tile with every entry, once; entries that no query of their tile reads may be missing."""
    at_once = max(1, LONGEST_LIST // lists.block)
    for piece in _tiles(lists, heads, batch, rows):
        slots = torch.arange(piece.slots.shape[-1], device=piece.slots.device).expand(piece.slots.shape)
        if slots.device.type != "cpu":  # a look at them would stop the device's stream
            runs = [(slots, False)]
        elif (used := _used(piece)) is None:
            continue
        elif batch * heads.query * (piece.last - piece.first) * slots[..., used].shape[-1] * lists.block <= FEW_SCORES:
            runs = [(slots[..., used], False)]
        else:
            piece = piece.narrowed(slots[..., used])
            whole = whole_entries(piece, heads)
            order = whole.to(torch.uint8).sort(dim=-1, stable=True).indices
            partial = int((~whole).sum(-1).max())
            if partial and alike(piece.lists, piece.last):  # such a mask takes less than another kernel call
                partial = order.shape[-1]
            runs = [(order[..., :partial], False), (order[..., partial:], True)]
        for run, is_whole in runs:
            for start in range(0, run.shape[-1], at_once):
                yield piece.narrowed(run[..., start : start + at_once], whole=is_whole)


def _tiles(lists: KeyLists, heads: Heads, batch: int, rows: int) -> Iterator[Piece]:
    """Runs of tiles with all of their entries."""
    keys = min(lists.entries.shape[-1] * lists.block, LONGEST_LIST)
    most = max(1, MOST_SCORES // max(1, batch * heads.query * keys))  # rows at once
    size = lists.tile or min(max(FEWEST_ROWS, most), max(1, rows))
    step = max(1, most // size) if lists.tile else 1
    count = -(-rows // size)
    for start in range(0, count, step):
        stop = min(count, start + step)
        place = slice(start, stop) if lists.tile else slice(0, 1)

        def cut(x: Tensor | None, place: slice = place) -> Tensor | None:
            return x if x is None or x.shape[2] == 1 else x[:, :, place]

        entries = lists.entries[:, :, place]
        own = replace(lists, entries=entries, gate=cut(lists.gate), since=cut(lists.since), until=cut(lists.until))
        last = min(stop * size, rows)
        slots = torch.arange(entries.shape[-1], device=entries.device).expand(entries.shape)
        yield Piece(own, start * size, last, stop - start, size, place, slots)


def _used(piece: Piece) -> slice | None:
    """Where the first and the last slot are that any query reads; None where there is none."""
    lists = piece.lists
    read = lists.entries >= 0
    if lists.rows is None:
        first, last = lists.bounds.first + piece.first, lists.bounds.first + piece.last
        if lists.bounds.causal:
            read = read & (lists.entries * lists.block < last)
        if lists.since is not None:
            read = read & (lists.since < last)
        if lists.until is not None:
            read = read & (lists.until > first)
    used = read.flatten(0, -2).any(0).nonzero()
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else None
