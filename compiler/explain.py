"""explain: what a pattern costs at a length, in which orders of tokens it runs, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..patterns_dsl.syntax import Direction
from .lower import TILE, Lowered, lower
from .passes.arrange import describe
from .passes.count import count_tiles
from .passes.program import Sweep, Tile
from .passes.tile import Placement
from .pattern import Pattern
from .relations.membership import Bools, Ints, Member, membership
from .selection import UsageError, title

_EXACT = 4096
"""Pairs are counted up to this length; beyond it, on a sample of rows."""

_EVALUATIONS = 1 << 24
"""Pairs that a sample may look at: a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Share:
    """One term. ``orders`` of queries / keys; tiles over all query tiles and classes; ``line`` of the source."""

    label: str
    line: int
    orders: str
    kernel: int
    full_tiles: int
    masked_tiles: int

    @property
    def tiles(self) -> int:
        return self.full_tiles + self.masked_tiles


@dataclass(frozen=True, slots=True)
class Account:
    """One head at one length. ``flops`` and ``bytes_moved`` are of the forward kernels, in 2-byte elements; the dense
    ones are those of a causal (or full) kernel with the same tiles. ``exact`` tells a counted from a sampled
    ``pairs``. ``keys`` are the keys of ``query`` as closed intervals."""

    pattern: str
    kind: Literal["positional"]
    length: int
    head_dim: int
    tile: Tile
    pairs: int
    exact: bool
    dense_pairs: int
    shares: tuple[Share, ...]
    dense_tiles: int
    table_bytes: int
    query: int | None
    keys: tuple[tuple[int, int], ...]

    @property
    def tiles(self) -> int:
        return sum(share.tiles for share in self.shares)

    @property
    def density(self) -> float:
        return self.pairs / self.dense_pairs

    @property
    def waste(self) -> float:
        """The share of the computed scores that are masked away."""
        return max(0.0, 1 - self.pairs / max(1, self.tiles * self.tile.query * self.tile.key))

    def flops(self, tiles: int) -> int:
        """Two matrix products of 2 * query * key * head_dim each, per tile."""
        return 4 * self.tile.query * self.tile.key * self.head_dim * tiles

    def bytes_moved(self, tiles: int, kernels: int) -> int:
        """A key and a value tile per tile; queries and outputs once per kernel."""
        return 2 * self.head_dim * (2 * self.tile.key * tiles + 2 * self.length * kernels)

    @property
    def kernels(self) -> int:
        return 1 + max((share.kernel for share in self.shares), default=-1)


def explain(pattern: Pattern, n: int, *, head_dim: int = 64, query: int | None = None, tile: Tile = TILE) -> Account:
    """Account for the union of the steps. Raises UsageError for a query that is not in 0..n-1 and for a pattern
    between two sequences, which no engine runs yet."""
    bound = pattern.bound
    if bound.direction is Direction.CROSS:
        raise UsageError(f"{bound.name} is a cross pattern: only causal and bidirectional ones are explained so far")
    if query is not None and query >= n:
        raise UsageError(f"there is no query {query} at n = {n}")
    lowered = lower(bound.union, bound.direction, bound.name, tile)
    member = membership(bound.union, bound.direction, n, n)
    pairs, exact = _pairs(member, n)
    causal = bound.direction is Direction.CAUSAL
    across = -(-n // tile.key)
    dense_tiles = sum(min(across, -(-((row + 1) * tile.query) // tile.key)) for row in range(-(-n // tile.query)))
    return Account(
        pattern=title(bound),
        kind="positional",
        length=n,
        head_dim=head_dim,
        tile=tile,
        pairs=pairs,
        exact=exact,
        dense_pairs=n * (n + 1) // 2 if causal else n * n,
        shares=_shares(lowered, n),
        dense_tiles=dense_tiles if causal else across * -(-n // tile.query),
        table_bytes=0,  # positional terms carry none, at any length
        query=query,
        keys=() if query is None else _intervals(np.flatnonzero(_rows(member, np.array([query]), n))),
    )


def _shares(lowered: Lowered, n: int) -> tuple[Share, ...]:
    placements = [placement for arrangement in lowered.arrangements for placement in arrangement.placements]
    return tuple(
        _share(sweep, placements[sweep.term], number, lowered.program.tile, n)
        for number, kernel in enumerate(lowered.program.forward)
        for sweep in kernel.sweeps
    )


def _share(sweep: Sweep, placement: Placement, kernel: int, tile: Tile, n: int) -> Share:
    counts = count_tiles(sweep.ranges, placement, tile, n)
    full = sum(tiles for tiles, masked in counts if not masked)
    masked = sum(tiles for tiles, masked in counts if masked)
    return Share(placement.label, placement.line, describe([placement]), kernel, full, masked)


def _pairs(member: Member, n: int) -> tuple[int, bool]:
    """(pairs, whether they were counted): a sample of rows, evenly spread but aligned to no period, scaled up."""
    count = n if n <= _EXACT else max(16, _EVALUATIONS // n)
    cells = np.arange(count, dtype=np.int64)
    jitter = 0.0 if count == n else (cells * 0.6180339887498949) % 1.0
    rows = ((cells + jitter) * (n / count)).astype(np.int64)
    # In slices: a whole mask of coordinates would be the largest thing here.
    found = sum(int(_rows(member, piece, n).sum()) for piece in np.array_split(rows, 16))
    return round(found * n / count), count == n


def _rows(member: Member, queries: Ints, n: int) -> Bools:
    """[queries, n]: which keys each of the queries attends to."""
    i, j = np.meshgrid(queries, np.arange(n, dtype=np.int64), indexing="ij")
    return member(i, j)


def _intervals(keys: Ints) -> tuple[tuple[int, int], ...]:
    """[0, 1, 2, 9] -> ((0, 2), (9, 9))."""
    runs = np.split(keys, np.flatnonzero(np.diff(keys) > 1) + 1)
    return tuple((int(run[0]), int(run[-1])) for run in runs if len(run))
