"""What a batch of blocks asks of the CPU, and so how long it is predicted to take.

Facts of torch's kernels decide the counts. Attention takes queries 32, 64 or 256 at a time, by how many a block has,
and reads all keys for each such group; a causal block computes 512 keys at a time. Forward, the scores of a row beyond
whole lanes are taken one by one. It spreads (block, group of queries) over threads forward, and whole blocks backward.
Copying and merging use one thread for few elements.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..plan.block import Block
from ..plan.diagonal import Diagonals, chunking
from ..plan.effort import Effort
from ..plan.tiles import LANES, Tiles
from .rates import Machine

KEYS_AT_ONCE = 512
ELEMENTS_OF_ONE_THREAD = 1 << 15
GROUP_OF_DIAGONALS = 3, 2
"""The Python around a group of queries and their softmax, forward and backward, is that around so many batches."""


def queries_at_once(rows: int) -> int:
    return 32 if rows < 192 else 64 if rows < 768 else 256


class Heads(NamedTuple):
    """The heads of a call, all alike: ``group`` query heads read each of the ``keys`` key heads of a batch element."""

    batch: int
    keys: int
    group: int
    dim: int

    @property
    def units(self) -> int:
        """Query heads, of all batch elements."""
        return self.batch * self.keys * self.group


class Price(NamedTuple):
    """Predicts seconds on a machine, forward or backward, with so many threads. A tuple, for a route is looked up by it
    at every call."""

    machine: Machine
    heads: Heads
    threads: int
    backward: bool = False

    def seconds(self, effort: Effort) -> float:
        return self.machine.rates(backward=self.backward).seconds(effort)

    def block(self, block: Block, *, fresh: bool) -> Effort:
        """A batch of a program."""
        return self.tiles(
            block.tiles, block.classes, masked=block.mask is not None, triangle=block.triangle, fresh=fresh
        )

    def tiles(
        self, tiles: Tiles, classes: int = 1, *, masked: bool = False, triangle: bool = False, fresh: bool = False
    ) -> Effort:
        """Blocks, one for each tile, class and head, all equal but for their growth: of tiles that grow, those of one
        run after those of another. ``fresh``: their rows have no output yet."""
        if not tiles.growth:
            return _alike(self, tiles.rows, tiles.keys, (classes, tiles.count), masked, triangle, fresh)
        keys = tiles.keys + tiles.growth * np.arange(tiles.count)
        each: tuple[Any, ...] = self.run(tiles.rows, keys, (classes, 1), masked, triangle, fresh)
        return Effort(*(float(count.sum()) if isinstance(count, np.ndarray) else tiles.count * count for count in each))

    def run(self, own: int, keys: Any, sizes: tuple[int, int], masked: bool, triangle: bool, fresh: bool) -> Effort:
        """A run of ``sizes``, classes and tiles, of blocks of ``own`` queries; or for each of ``keys`` one."""
        heads, blocks = self.heads, math.prod(sizes) * self.heads.units
        launches = _launches((heads.batch * heads.keys, heads.group, *sizes))
        slices = -(-own // queries_at_once(own))
        tasks = blocks // launches * (1 if self.backward else slices)
        share = -(-tasks // self.threads) / tasks
        rows, read = share * blocks * own, share * blocks * slices * keys
        groups = share * blocks * slices * -(-keys // KEYS_AT_ONCE)
        pairs = share * blocks * (_triangle(own, keys) if triangle else own * keys)
        left = 0 if self.backward else rows * (keys % LANES)
        touched = blocks * own * heads.dim
        copied = touched + 2 * blocks * keys * heads.dim if self.backward else touched * fresh
        copied += own * keys * masked  # a mask is read from afar, once for all blocks
        merged = 0 if fresh or self.backward else touched
        wide = rows * heads.dim, read * heads.dim, pairs * heads.dim
        return Effort(
            1, launches, groups, rows, wide[0], read, wide[1], pairs, wide[2], pairs * masked, left,
            self._spread(merged), self._spread(copied), 0, 0, 0,
        )  # fmt: skip

    def diagonals(self, stage: Diagonals) -> Effort:
        """All diagonals of a stage, for every head."""
        heads = self.heads
        together, rows = chunking(stage.rows, heads.group, heads.dim)
        parts = heads.batch * -(-heads.keys // together)
        steps = sum(-(-(one.stop - one.start) // rows) for one in stage.each)
        elements = heads.units * heads.dim * sum(one.stop - one.start for one in stage.each)
        touched = heads.units * heads.dim * stage.rows
        merged = 0 if stage.fresh or self.backward else touched
        return Effort(
            batches=GROUP_OF_DIAGONALS[self.backward] * parts * -(-stage.rows // rows),
            merged=self._spread(merged),
            copied=self._spread(touched),
            steps=parts * steps,
            wide_steps=self._spread(elements),
        )

    def gathered(self, queries: int, keys: int) -> Effort:
        """Taking so many tokens out of their order, from afar, and putting back what was computed for them."""
        return Effort(gathered=self._moved(queries, keys))

    def taken_again(self, keys: int) -> Effort:
        """Gathering so many keys for one strip after another, which find most of them in the caches. It takes as much
        Python as a batch."""
        return Effort(batches=1, copied=self._moved(0, keys))

    def _moved(self, queries: int, keys: int) -> float:
        heads = self.heads
        rows, columns = heads.units * queries * heads.dim, heads.batch * heads.keys * keys * heads.dim
        moved: float = self._spread(5 * rows + 6 * columns if self.backward else 3 * rows + 2 * columns)
        return moved

    def _spread(self, elements: Any) -> Any:
        """A number, or each of an array."""
        if isinstance(elements, np.ndarray):
            return np.where(elements > ELEMENTS_OF_ONE_THREAD, elements / self.threads, elements)
        return elements / self.threads if elements > ELEMENTS_OF_ONE_THREAD else elements


@lru_cache(maxsize=4096)
def _alike(
    price: Price, own: int, keys: int, sizes: tuple[int, int], masked: bool, triangle: bool, fresh: bool
) -> Effort:
    """What ``Price.run`` gives: few of the hundreds of batches of a plan differ in this, or from those of another."""
    return price.run(own, keys, sizes, masked, triangle, fresh)


def _launches(sizes: tuple[int, ...]) -> int:
    """The kernel takes two batch dims; over what remains there is a loop."""
    return math.prod(sorted(sizes)[:-2])


def _triangle(rows: int, keys: int) -> int:
    """Scores that a causal block of the kernel computes: of each group of queries up to the last key that it sees, in
    whole runs of keys as far as these are there."""
    at_once = queries_at_once(rows)
    groups, rest = divmod(rows, at_once)
    per = KEYS_AT_ONCE // at_once  # groups, of which each sees one run more than those before
    runs, more = divmod(min(groups, keys // KEYS_AT_ONCE * per), per)
    seen = KEYS_AT_ONCE * (per * runs * (runs + 1) // 2 + more * (runs + 1)) + keys * (groups - per * runs - more)
    return at_once * seen + rest * min((groups // per + 1) * KEYS_AT_ONCE, keys)
