"""Lists that are the same in every call, made smaller once: entries without a pair are left out, and where all others
are whole nothing is asked of a pair any more."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ....compiler.relations.integer import TRUE, evaluate
from .intervals import always
from .key_lists import Bounds, KeyLists

_AT_ONCE = 1 << 20
"""Pairs that are looked at."""


def trimmed(lists: KeyLists, rows: int) -> KeyLists:
    """The same pairs, of lists by tiles of the ``rows`` queries from the first on, of one element, on a CPU. No term is
    earlier, and entries alone say what is read."""
    entries, bounds = lists.entries[0, 0], lists.bounds
    last = torch.arange(1, entries.shape[0] + 1)[:, None] * lists.tile
    query = bounds.first + last - lists.tile, torch.minimum((bounds.first + last.clamp(max=rows)), bounds.queries) - 1
    key = entries * lists.block, torch.minimum(entries * lists.block + lists.block, bounds.keys) - 1
    exists = (entries >= 0) & (key[0] <= key[1]) & (query[0] <= query[1])
    lengths = {name: (length, length) for name, length in bounds.lengths.items()}
    whole = exists & always(bounds.within, {"i": query, "j": key, **lengths})
    if bounds.causal:
        whole &= key[1] <= query[0]
    some = whole.clone()
    at = (exists & ~whole).nonzero(as_tuple=True)
    step = max(1, _AT_ONCE // (lists.tile * lists.block))
    for begin in range(0, len(at[0]), step):
        place = tuple(x[begin : begin + step] for x in at)
        ends = [x.expand(entries.shape)[place] for x in (*query, *key)]
        held, possible = _pairs(lists, bounds, *ends)
        some[place], whole[place] = held.any(-1).any(-1), (held | ~possible).all(-1).all(-1)
    if bool((whole | ~some).all()):
        bounds = replace(bounds, within=TRUE, causal=False)
    left = entries.where(some, torch.iinfo(torch.int64).max).sort(dim=-1).values
    slots = int(some.sum(-1).max()) if some.numel() else 0
    left = left[:, :slots]
    return replace(lists, bounds=bounds, entries=left.where(left != torch.iinfo(torch.int64).max, -1)[None, None])


def _pairs(
    lists: KeyLists, bounds: Bounds, since: Tensor, until: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """bool [entries, tile, block]: which pairs are held, of those that there are."""
    i, j = since[:, None, None] + torch.arange(lists.tile)[:, None], low[:, None, None] + torch.arange(lists.block)
    possible = (i <= until[:, None, None]) & (j <= high[:, None, None])
    held = possible & evaluate(bounds.within, {"i": i, "j": j, **bounds.lengths}, torch)
    return (held & (j <= i) if bounds.causal else held), possible
