"""The program: what the passes build and the engines run.

A program computes one pattern as a chain of *terms*, disjoint relations whose union is the pattern. Each term looks
at its queries and its keys in an *order*, a renumbering of tokens by (class, rank) in which the term is blocky, and
touches tiles of ``tile.query`` x ``tile.key`` ranks, narrower where few queries or few keys are all that it has; or
*diagonals*: of a query tile the pairs with one difference b - a, and no others. Which is said by closed-form *ranges*,
so a program has no table that grows with the length.

Names of the variables in ranges and masks:

    n      the sequence length; of a cross program nq and nk, the lengths of queries and keys
    c      the class of the stationary side (query class in ``forward``, key class in ``backward``)
    I, J   query tile and key tile:  I = a // tile.query,  J = b // tile.key
    a, b   query rank and key rank
    T      number of tiles of the side that is swept:  ceil(ranks / tile)
    d      step of a fan
    x      the difference b - a, where ranges are of diagonals
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..relations.integer import TRUE, All, Binary, Compare, Expr, Predicate, Var, variables
from .order import NATURAL, Order, Turn

__all__ = ["NATURAL", "Fan", "Kernel", "Order", "Program", "Range", "Sweep", "Term", "Tile", "Turn", "range_variables"]


PAIR_BY_VECTORS = 32
"""A pair of a diagonal, a row or a column costs as much as so many of an unmasked tile of 128 x 128. It is computed by
the vector units of a GPU, and those of a tile by its matrix units, which by the data sheets do 15 times as much in the
same time (A100, H100); and for each product two factors are widened first. By arithmetic: on no GPU was it measured."""

_PAIR = {16: 4.0, 32: 2.0, 64: 1.05}
"""What a pair costs in a tile whose shorter side is this, in those of 128 x 128. An H200 took 1.0 to 1.1 times as long
in tiles of 64, and 1.3 to 2.4 times in those of 32 (benchmarks/kernel_time.py): its matrix units take 64 rows at once,
and narrower instructions half as much. In those of 16 half of that again is by arithmetic."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Ranks per tile, powers of two: from 16 on, as the matrix units take them, or 1, of a row or a column."""

    query: int
    key: int

    @property
    def pairs(self) -> int:
        """How many it holds."""
        return self.query * self.key

    @property
    def vector(self) -> bool:
        """Whether it is a row or a column: one rank of one side, with all those of the other."""
        return 1 in (self.query, self.key)

    @property
    def price(self) -> float:
        """What it costs without a mask, in those of 128 x 128. Pairs of a row or a column are computed one by one."""
        by = PAIR_BY_VECTORS if self.vector else _PAIR.get(min(self.query, self.key), 1.0)
        return self.pairs / TILE.pairs * by

    @property
    def diagonal(self) -> float:
        """What a diagonal of its queries costs, in unmasked tiles: it has one key for each query."""
        return PAIR_BY_VECTORS * self.query / (TILE.pairs * self.price)


TILE = Tile(128, 128)
"""Of most programs: kernels walk a tile in blocks that fit the machine. ``sizes.py`` says which have a smaller one."""


@dataclass(frozen=True, slots=True)
class Fan:
    """The steps ``first <= d < last`` of a range that is repeated, one step after the other: on a grid a query has a
    window of keys in each of several rows. First and last are in the variables of a range.

    Step d is meant for the pairs whose swept rank is d rows of ``row`` ranks behind the other; or the step before is,
    for a tile that has ranks of both. Nothing hangs on that but the proof that every tile is visited. Of diagonals the
    steps are the runs of differences that occur, and there are no rows.
    """

    first: Expr
    last: Expr
    row: int


@dataclass(frozen=True, slots=True)
class Range:
    """The tiles ``lo <= tile < min(hi, T)`` of the swept side. Within an unmasked range every pair of ranks belongs
    to the term, except that ranks whose token is >= n do not exist (the ragged last tile).

    With a fan, lo and hi speak of d too, and no tile is in two steps.

    A range of diagonals holds no tiles: of the ranks a (or b) of the stationary tile the pairs with ``lo <= x < hi``
    for x = b - a, in natural orders. Those whose other rank is negative, or no token, do not exist.
    """

    lo: Expr
    hi: Expr
    masked: bool
    fan: Fan | None = None
    diagonal: bool = False


def on_diagonals(span: Range) -> All:
    """The pairs that a range of diagonals holds, at some step of its fan: over a and b and the names of its ends."""
    difference = Binary("-", Var("b"), Var("a"))
    parts = (Compare("<=", span.lo, difference), Compare("<", difference, span.hi))
    if span.fan is None:
        return All(parts)
    return All((*parts, Compare("<=", span.fan.first, Var("d")), Compare("<", Var("d"), span.fan.last)))


def range_variables(span: Range) -> frozenset[str]:
    """The names that occur in a range."""
    ends = (span.lo, span.hi) if span.fan is None else (span.lo, span.hi, span.fan.first, span.fan.last)
    return frozenset().union(*map(variables, ends))


@dataclass(frozen=True, slots=True)
class Term:
    """Pairs (query rank a of class c, key rank b of the class to which ``turn`` leads from c) with ``keep``. ``tile``:
    its own, where one of the sides is narrower than the program's.

    A term whose orders have several classes has equally many on both sides. ``keep`` is over the names c (always
    the *query* class), a, b and n; it is exact within the tiles of the ranges, and says nothing about tokens >= n.
    """

    label: str  # the source text of the rule that the term came from, for people
    line: int  # its line in the .pat file
    query: Order
    key: Order
    turn: Turn
    keep: Predicate = TRUE
    tile: Tile | None = None

    def key_class(self, query_class: int) -> int:
        """The class of the keys of a class of queries."""
        return self.turn.of(query_class, self.key.classes)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One term seen from the stationary side of a kernel: the ranges of the other side's tiles, disjoint."""

    term: int  # index into Program.terms
    ranges: tuple[Range, ...]

    @property
    def diagonal(self) -> bool:
        """Whether its ranges are of diagonals."""
        return any(span.diagonal for span in self.ranges)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch. In ``Program.forward`` a query tile I of ``order`` is stationary and the ranges are key tiles J, in
    the variables (I, c, T, n); in ``Program.backward`` a key tile J is stationary and the ranges are query tiles. All
    stationary tiles have as many ranks. All sweeps need matrix units, or none does: those of diagonals, rows and
    columns run in blocks of fewer ranks."""

    order: Order
    sweeps: tuple[Sweep, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Forward kernels run in order, each resuming the softmax from the (out, lse) of the one before. The gradient of
    q uses the forward kernels again, that of k and v the backward kernels; all start from the final (out, lse).

    ``tile``: of all terms that have none of their own, which is narrower.

    ``table``: the tokens of a block where a call may give lists of pairs of blocks beside the terms, which the first
    kernel of each chain takes too: what a seeded table draws, which is data. The terms say nothing of them. 0: none.
    """

    name: str
    causal: bool
    tile: Tile
    terms: tuple[Term, ...]
    forward: tuple[Kernel, ...]
    backward: tuple[Kernel, ...]
    cross: bool = False  # queries and keys are two sequences
    table: int = 0
    entry: str = field(init=False, default="", compare=False, repr=False)
    """A digest of all that it depends on, by which others may keep on disk what they make of it; "": of none that was
    changed, or never was on disk."""

    def named(self, entry: str) -> Program:
        """The same under a digest of what it is made of."""
        found = replace(self)
        object.__setattr__(found, "entry", entry)
        return found

    @property
    def lengths(self) -> tuple[str, ...]:
        """The names of the lengths."""
        return ("nq", "nk") if self.cross else ("n",)

    def tile_of(self, sweep: Sweep) -> Tile:
        """The tile of the term that is swept."""
        return self.terms[sweep.term].tile or self.tile

    def is_vector(self, kernel: Kernel) -> bool:
        """Whether it leaves matrix units alone."""
        return any(sweep.diagonal or self.tile_of(sweep).vector for sweep in kernel.sweeps)

    def queries_held(self, kernel: Kernel) -> int:
        """Ranks of the stationary tile of a forward kernel."""
        return self.tile_of(kernel.sweeps[0]).query

    def keys_held(self, kernel: Kernel) -> int:
        """Ranks of the stationary tile of a backward kernel."""
        return self.tile_of(kernel.sweeps[0]).key
