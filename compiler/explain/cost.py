"""What running a pattern costs at a length, in which orders of tokens it runs, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass

from ...patterns_dsl.syntax import BoundPattern, Direction, Drawn
from ..lowering.learned import lower_tables
from ..lowering.lower import Lowered, lower
from ..passes.arrange import Arrangement
from ..passes.count import count_visits
from ..passes.placement import Placement
from ..passes.program import TILE, Sweep, Tile
from ..passes.separate import Selected
from ..passes.wording import describe


@dataclass(frozen=True, slots=True)
class Share:
    """One term. ``orders`` of queries / keys; tiles, or diagonals of a query tile, over all query tiles and classes;
    ``line`` of the source; ``tile``: its own. Of a seeded table as many tiles as would hold the blocks that it draws,
    at most."""

    label: str
    line: int
    orders: str
    kernel: int
    full_tiles: int
    masked_tiles: int
    diagonals: int
    tile: Tile

    @property
    def scores(self) -> int:
        """That are computed: a diagonal of a query tile has one key for each query."""
        return (self.full_tiles + self.masked_tiles) * self.tile.pairs + self.diagonals * self.tile.query

    @property
    def read(self) -> int:
        """Keys that are read, each as often as it is: of a diagonal one for each query."""
        return (self.full_tiles + self.masked_tiles) * self.tile.key + self.diagonals * self.tile.query


@dataclass(frozen=True, slots=True)
class Size:
    """A tile that was tried: how many are touched at ``length``, and the price by which it was compared, in unmasked
    tiles of 128 x 128."""

    tile: Tile
    length: int
    tiles: int
    price: float


@dataclass(frozen=True, slots=True)
class Search:
    """Of a term, or of terms that became one: the ``orders`` of queries / keys that were taken, the tiles that they
    touch at ``length``, and the other orders that were tried, each with its tiles, the fewest first. Of those that are
    far behind an outline was counted."""

    label: str
    line: int
    length: int
    orders: str
    tiles: int
    rejected: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """One head at one length. ``tiles``: as many as would hold all scores, those on diagonals and in narrower tiles
    too. ``flops`` and ``bytes_moved`` are of the forward kernels, in 2-byte elements; the dense ones are those of a
    causal (or full) kernel with the same tiles. ``sizes``: what each tile that was tried would cost, the taken one
    first; ``searches``: the orders that were tried in that."""

    length: int
    head_dim: int
    tile: Tile
    shares: tuple[Share, ...]
    dense_tiles: int
    table_bytes: int
    sizes: tuple[Size, ...] = ()
    searches: tuple[Search, ...] = ()

    @property
    def tiles(self) -> int:
        return -(-sum(share.scores for share in self.shares) // self.tile.pairs)

    @property
    def reads(self) -> int:
        """How often keys are read."""
        return sum(share.read for share in self.shares)

    @property
    def kernels(self) -> int:
        return 1 + max((share.kernel for share in self.shares), default=-1)

    def waste(self, pairs: int) -> float:
        """The share of the computed scores that are masked away."""
        return max(0.0, 1 - pairs / max(1, self.tiles * self.tile.pairs))

    def flops(self, tiles: int) -> int:
        """Two matrix products of 2 * query * key * head_dim each, per tile."""
        return 4 * self.tile.pairs * self.head_dim * tiles

    def bytes_moved(self, reads: int, kernels: int) -> int:
        """A key and a value per read; queries and outputs once per kernel."""
        return 2 * self.head_dim * (2 * reads + 2 * self.length * kernels)

    @property
    def dense_bytes(self) -> int:
        """Of the dense kernel, which reads its keys once for as many queries as a tile of 128 x 128 has."""
        return 2 * self.head_dim * (2 * self.dense_tiles * self.tile.pairs // TILE.query + 2 * self.length)


def cost(pattern: BoundPattern, n: int, head_dim: int, tile: Tile | None = None) -> Cost:
    """Of the union of the steps, in tiles of the cheapest size or of a stated one. Raises PatternError for a pattern
    that cannot be compiled."""
    tabled = lower_tables(pattern.union, pattern.direction, pattern.name)
    positional = pattern.union if tabled is None else tabled.parts.positional
    lowered = None if positional is None else lower(positional, pattern.direction, pattern.name, tile)
    own = (tile or TILE) if lowered is None else lowered.program.tile
    shares = () if lowered is None else _shares(lowered, n)
    kernels = 1 + max((share.kernel for share in shares), default=-1)
    tables = () if tabled is None else tabled.parts.selected
    shares += tuple(_table(each, kernels + number, own, n) for number, each in enumerate(tables))
    across = -(-n // own.key)
    causal = pattern.direction is Direction.CAUSAL
    rows = range(-(-n // own.query))
    dense = sum(min(across, -(-((row + 1) * own.query) // own.key)) for row in rows) if causal else across * len(rows)
    tried = () if lowered is None else lowered.sizes
    sizes = tuple(Size(one.tile, one.length, one.tiles, one.price) for one in tried)
    # Positional terms carry no tables, at any length.
    table_bytes = sum(4 * _drawn(each, n) for each in tables)
    searches = () if lowered is None else tuple(map(_search, lowered.arrangements))
    return Cost(n, head_dim, own, shares, dense, table_bytes=table_bytes, sizes=sizes, searches=searches)


def _search(found: Arrangement) -> Search:
    first, taken = found.placements[0], describe(found.placements)
    # Orders may be tried once for each of several ways to part the pairs: the fewest tiles are those of the best.
    tried: dict[str, int] = {}
    for orders, tiles in sorted(found.rejected, key=lambda each: each[1]):
        if orders != taken:
            tried.setdefault(orders, tiles)
    return Search(first.label, first.line, found.length, taken, found.tiles, tuple(tried.items()))


def _table(selected: Selected, kernel: int, tile: Tile, n: int) -> Share:
    table, span = _source(selected), selected.term.span
    tiles = -(-_drawn(selected, n) * table.block**2 // tile.pairs)
    return Share(
        " ".join(span.text.split()), span.line, f"blocks of {table.block} / a table", kernel, tiles, 0, 0, tile
    )


def _drawn(selected: Selected, n: int) -> int:
    """How many key blocks all query blocks draw, at most."""
    table = _source(selected)
    blocks = -(-n // table.block)
    return blocks * min(table.count, blocks)


def _source(selected: Selected) -> Drawn:
    assert isinstance(selected.source, Drawn)  # a selection is refused before
    return selected.source


def _shares(lowered: Lowered, n: int) -> tuple[Share, ...]:
    placements = [placement for arrangement in lowered.arrangements for placement in arrangement.placements]
    return tuple(
        _share(sweep, placements[sweep.term], number, lowered.program.tile, n)
        for number, kernel in enumerate(lowered.program.forward)
        for sweep in kernel.sweeps
    )


def _share(sweep: Sweep, placement: Placement, kernel: int, tile: Tile, n: int) -> Share:
    visits = count_visits(sweep.ranges, placement, tile, n)
    full = sum(each.tiles for each in visits if not each.masked)
    masked = sum(each.tiles for each in visits if each.masked)
    diagonals = sum(each.diagonals for each in visits)
    own = placement.within(tile)
    return Share(placement.label, placement.line, describe([placement]), kernel, full, masked, diagonals, own)
