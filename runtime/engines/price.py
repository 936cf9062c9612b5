"""What a batch of blocks asks of the CPU, and so how long it is predicted to take.

Two facts of torch's kernel decide the counts. It takes queries 32, 64 or 256 at a time, by how many a block has, and
reads all keys for each such group; a causal block computes 512 keys at a time. It spreads (block, group of queries)
over threads forward, and whole blocks backward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .machine import Effort, Machine

if TYPE_CHECKING:
    from .blocks import Block
    from .masks import Tiles

KEYS_AT_ONCE = 512


def queries_at_once(rows: int) -> int:
    return 32 if rows < 192 else 64 if rows < 768 else 256


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of a call, all alike: ``group`` query heads read each of the ``keys`` key heads of a batch element."""

    batch: int
    keys: int
    group: int
    dim: int

    @property
    def units(self) -> int:
        """Query heads, of all batch elements."""
        return self.batch * self.keys * self.group


@dataclass(frozen=True, slots=True)
class Price:
    """Predicts seconds on a machine, forward or backward."""

    machine: Machine
    heads: Heads
    backward: bool = False

    def seconds(self, effort: Effort) -> float:
        return self.machine.rates(backward=self.backward).seconds(effort)

    def block(self, block: Block, *, fresh: bool) -> Effort:
        """A batch without growth."""
        return self.tiles(
            block.tiles, block.classes, masked=block.mask is not None, triangle=block.triangle, fresh=fresh
        )

    def tiles(
        self, tiles: Tiles, classes: int = 1, *, masked: bool = False, triangle: bool = False, fresh: bool = False
    ) -> Effort:
        """Equal blocks, one for each tile, class and head. ``fresh``: their rows have no output yet."""
        heads, blocks = self.heads, tiles.count * classes * self.heads.units
        launches = _launches((heads.batch * heads.keys, heads.group, classes, tiles.count))
        slices = -(-tiles.rows // queries_at_once(tiles.rows))
        tasks = blocks // launches * (1 if self.backward else slices)
        threads = self.machine.threads
        uneven = -(-tasks // threads) * threads / tasks
        rows = blocks * tiles.rows
        busy, read = uneven * rows, uneven * blocks * slices * tiles.keys
        pairs = uneven * blocks * (_triangle(tiles.rows, tiles.keys) if triangle else tiles.rows * tiles.keys)
        dim = heads.dim
        copied = dim * (rows + 2 * blocks * tiles.keys if self.backward else rows * fresh)
        merged = 0 if fresh or self.backward else dim * rows
        wide = busy * dim, read * dim, pairs * dim
        return Effort(1, launches, busy, wide[0], read, wide[1], pairs, wide[2], pairs * masked, merged, copied)

    def gathered(self, queries: int, keys: int) -> Effort:
        """Taking so many tokens out of their order, and putting back what was computed for them."""
        heads = self.heads
        rows, columns = heads.units * queries * heads.dim, heads.batch * heads.keys * keys * heads.dim
        return Effort(copied=(5 * rows + 6 * columns) if self.backward else (3 * rows + 2 * columns))


def _launches(sizes: tuple[int, ...]) -> int:
    """The kernel takes two batch dims; over what remains there is a loop."""
    return math.prod(sorted(sizes)[:-2])


def _triangle(rows: int, keys: int) -> int:
    """Scores that a causal block of the kernel computes."""
    at_once, total = queries_at_once(rows), 0
    for first in range(0, rows, at_once):
        last = min(first + at_once, rows)
        seen = min(last, keys)
        total += (last - first) * min(-(-seen // KEYS_AT_ONCE) * KEYS_AT_ONCE, keys)
    return total
