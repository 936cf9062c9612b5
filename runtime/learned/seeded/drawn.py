"""Seeded tables as lists: the blocks that ``random(r, block, seed)`` draws, for many blocks of queries at once.

The hash is that of ``compiler/seeded.py``, on any device. A round of it is a bijection, so that no two key blocks of a
query block have the same one, and the r least are a set without ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ....patterns_dsl.syntax import Drawn
from ...hashed import mixed, seeded
from ..lists.key_lists import Bounds, KeyLists

_AT_ONCE, _ON_A_DEVICE = 1 << 18, 1 << 24
"""Hashes: as many as a cache holds; elsewhere few launches."""

_LEAST = -(1 << 63)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBlocks:
    """blocks int64 [B or 1, 1, query blocks, slots], rising, -1 behind the last; block 0 of queries is the one of the
    query ``first``."""

    block: int
    blocks: Tensor
    first: int = 0


def drawn_blocks(table: Drawn, bounds: Bounds, rows: int, keys: int) -> DrawnBlocks:
    """For the ``rows`` queries from ``bounds.first`` on, which begins a block, among at most ``keys`` keys; how many
    each element has, ``bounds`` says. Nothing is looked at."""
    size, first = table.block, bounds.first
    totals = -(-bounds.keys // size)
    blocks = draw(
        table.count, table.seed, first // size, -(-rows // size), totals, -(-keys // size), causal=bounds.causal
    )
    return DrawnBlocks(size, blocks[:, None], first)


def table_lists(drawn: DrawnBlocks, bounds: Bounds, rows: int) -> KeyLists:
    """Of the ``rows`` queries from the first on."""
    size = drawn.block
    return KeyLists(bounds, tile=size, block=size, entries=drawn.blocks[:, :, : -(-rows // size)])


def draw(count: int, seed: int, first: int, tiles: int, totals: Tensor, most: int, *, causal: bool) -> Tensor:
    """int64 [B, tiles, slots]: the key blocks that the query blocks ``first`` .. ``first + tiles`` - 1 draw, rising, -1
    behind the last. totals int64 [B]: how many key blocks there are, ``most`` or fewer."""
    device, slots = totals.device, min(count, most)
    found = torch.empty(totals.shape[0], tiles, slots, dtype=torch.int64, device=device)
    keys = torch.arange(most, device=device)
    step = max(1, (_AT_ONCE if device.type == "cpu" else _ON_A_DEVICE) // max(1, most))
    start = seeded(seed, device)
    for low in range(0, tiles if slots else 0, step):
        rows = torch.arange(first + low, first + min(tiles, low + step), device=device)
        hashes = mixed(mixed(start ^ rows)[:, None] ^ keys) ^ _LEAST  # as signed numbers, in the order of unsigned
        among = totals[:, None, None]
        if causal:
            among = torch.minimum(among, rows[:, None] + 1)
        drawn = hashes.where(keys < among, torch.iinfo(torch.int64).max).topk(slots, largest=False, sorted=False)
        rising = drawn.indices.where(drawn.indices < among, most).sort(dim=-1).values
        found[:, low : low + step] = rising.where(rising < most, -1)
    return found
