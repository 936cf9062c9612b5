"""A term at one length, as a few batches of equally shaped dense blocks: what the compose engine runs.

A *triangle* is the whole term when its mask is ``b <= a - s``. *Bands* are runs of query tiles, every p-th of them,
whose key ranges have one width and advance evenly. A *stack* cuts a growing range into groups of tiles: the keys that
all of a group sees in full are one unmasked block, what is left on either side is a band over the groups. Of bands and
stack the cheaper is taken, by pairs computed and batches launched; where there is neither, every tile stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeAlias

from ...compiler.passes.program import Program, Sweep, Term
from ...compiler.relations.affine import restrict, staircase
from ...compiler.relations.integer import TRUE, Predicate, variables
from .masks import Mask, Tiles, masked, runs
from .shapes import Group, Shape, bands, reach_of, singles, stack

FEW_PIECES, MOST_PIECES = 32, 256
"""A shape of few batches is taken; one of very many is given up, unless it is the only one."""

BATCH_PAIRS = 1 << 15
"""What a batch costs besides its pairs, in pairs."""


@dataclass(frozen=True, slots=True)
class Block:
    """A batch of dense blocks of one term, one per class and tile.

    ``mask`` is bool [rows, keys], the same for all; None means all pairs. With ``growth`` g, tile t has g*t more keys.
    """

    first_class: int  # of the queries
    key_class: int  # that belongs to it; the others follow
    classes: int
    tiles: Tiles
    mask: Mask | None = None
    triangle: bool = False  # key k of row r only where k <= r
    growth: int = 0

    def even(self) -> Iterator[Block]:
        """The batch as batches without growth."""
        if not self.growth:
            yield self
            return
        for t in range(self.tiles.count):
            tile = self.tiles.part(t, 1)
            yield replace(self, tiles=replace(tile, keys=tile.keys + t * self.growth), growth=0)


def blocks(program: Program, sweep: Sweep, n: int) -> tuple[Block, ...]:
    """The batches that cover one term at length n; together they hold each pair of the term once."""
    term = program.terms[sweep.term]
    return tuple(block for group in _groups(term, sweep, n) for block in _cover(program, term, sweep, group, n))


def _groups(term: Term, sweep: Sweep, n: int) -> Iterator[Group]:
    """Runs of classes with equally many queries and keys; single classes where the class matters to the term."""
    names = variables(term.keep).union(*(variables(span.lo) | variables(span.hi) for span in sweep.ranges))
    apart = "c" in names
    run: Group | None = None
    for cls in range(term.query.classes):
        key_class = (cls + term.shift) % term.key.classes
        shape = (term.query.ranks(cls, n), term.key.ranks(key_class, n))
        if run and not apart and shape == (run.rows, run.keys) and key_class == run.key_first + run.count:
            run = replace(run, count=run.count + 1)
            continue
        if run:
            yield run
        run = Group(cls, key_class, 1, *shape)
    if run:
        yield run


def _cover(program: Program, term: Term, sweep: Sweep, group: Group, n: int) -> Iterator[Block]:
    if not group.rows or not group.keys:
        return
    known = {"c": group.first, "n": n}
    # At this length the mask may say less: a window that is wider than the sequence is a triangle.
    box = {"a": (0, group.rows - 1), "b": (0, group.keys - 1), "c": (group.first, group.first), "n": (n, n)}
    keep = restrict(term.keep, box)
    shift = staircase(keep)
    if shift is not None:
        yield from _triangle(group, shift)
        return
    reach = reach_of(program, term, sweep, group, n)
    shapes = (shape(reach, group) for shape in (bands, stack))
    pieces = _cheapest(keep, shapes, partial(singles, reach, group), known)
    for tiles, local, growth in pieces:
        block = masked(tiles, local, known)
        if block is not None:
            yield _block(group, *block, growth=growth)


_Piece: TypeAlias = tuple[Tiles, Predicate, int]
"""A run of tiles, what is left of the mask on it, and how many keys each tile has more than the one before."""


def _cheapest(
    keep: Predicate, shapes: Iterator[list[Shape] | None], last: Callable[[], list[Shape]], known: dict[str, int]
) -> list[_Piece]:
    """The first shape of few pieces, else the cheapest; where each falls into very many, those of the first; of no
    shape at all, those of the last."""
    found: list[list[Shape]] = []
    cheap: list[list[_Piece]] = []
    for shape in shapes:
        if shape is None:
            continue
        found.append(shape)
        pieces = list(islice(_pieces(keep, shape, known), MOST_PIECES + 1))
        if len(pieces) <= FEW_PIECES:
            return pieces
        if len(pieces) <= MOST_PIECES:
            cheap.append(pieces)
    return min(cheap, key=_cost) if cheap else list(_pieces(keep, found[0] if found else last(), known))


def _pieces(keep: Predicate, shape: list[Shape], known: dict[str, int]) -> Iterator[_Piece]:
    for tiles, full, growth in shape:
        if full:
            yield tiles, TRUE, growth
        else:
            yield from ((run, local, 0) for run, local in runs(keep, tiles, known))


def _cost(pieces: list[_Piece]) -> int:
    """Pairs computed, and what their batches cost; tiles that grow run one by one."""
    total = 0
    for tiles, _, growth in pieces:
        more = growth * tiles.rows * tiles.count * (tiles.count - 1) // 2
        total += tiles.pairs + more + BATCH_PAIRS * (tiles.count if growth else 1)
    return total


def _block(group: Group, tiles: Tiles, mask: Mask | None = None, *, triangle: bool = False, growth: int = 0) -> Block:
    return Block(group.first, group.key_first, group.count, tiles, mask, triangle, growth)


def _triangle(group: Group, shift: int) -> Iterator[Block]:
    side = min(group.rows - shift, group.keys)
    below = group.rows - shift - side
    if side > 0:
        yield _block(group, Tiles(shift, side, 0, 0, side, 0, 1), triangle=True)
    if below > 0:  # later queries see every key of the class
        yield _block(group, Tiles(shift + side, below, 0, 0, side, 0, 1))
