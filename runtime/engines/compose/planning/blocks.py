"""A term at one length, as a few batches of equally shaped dense blocks: what the compose engine runs.

A *triangle* is the whole term when its mask is ``b <= a - s``, or a large square on its diagonal. *Bands* are runs of
query tiles, every p-th of them, whose key ranges have one width and advance evenly. A *stack* cuts a growing range into
groups of tiles: the keys that all of a group sees in full are one unmasked block, what is left on either side is a band
over the groups. The fastest is taken (ways.py); where there is none, tiles stand alone, or in as few runs as there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .....compiler.passes.count import tile_count
from .....compiler.passes.program import Program, Sweep, Term
from .....compiler.relations.affine import restrict, staircase
from .....compiler.relations.integer import Predicate, length_values, variables
from ..plan.block import Block
from ..plan.effort import Effort
from ..plan.tiles import Mask, Tiles, in_lanes
from ..pricing.price import KEYS_AT_ONCE, Price
from .corner import corner
from .masks import LARGEST_MASK, masked
from .repeats import Part, again
from .shapes import Group, reaches
from .slices import ROWS, quarters, slices
from .together import together
from .ways import Piece, fastest_way

NEARLY = 1.02
"""As fast as another: what holds less is taken where it is predicted to take no longer than so many times as long."""


def blocks(program: Program, sweep: Sweep, n: int, nk: int, price: Price) -> tuple[Block, ...]:
    """The batches that cover one term for n queries and nk keys; together they hold each pair of the term once, and
    none of keys that are not there but for those that ranks of a tiled order make room for."""
    term = program.terms[sweep.term]
    groups = _groups(term, sweep, n, nk)
    return tuple(together(block for group in groups for block in _cover(program, term, sweep, group, n, nk, price)))


def _groups(term: Term, sweep: Sweep, n: int, nk: int) -> Iterator[Group]:
    """Runs of classes with equally many queries and keys and the same pairs of ranks, as far as that is seen: where the
    class matters to the term, of triangles alone."""
    names = variables(term.keep).union(*(variables(span.lo) | variables(span.hi) for span in sweep.ranges))
    run: Group | None = None
    shape: tuple[int, int, int | None] | None = None
    for cls in range(term.query.classes):
        key_class = term.key_class(cls)
        shift = staircase(term.keep, {"c": cls, **length_values(n, nk)})
        alike = shift is not None or "c" not in names
        this = term.query.ranks(cls, n), term.key.ranks(key_class, nk), shift
        if run and alike and this == shape and key_class == run.key_first + run.count:
            run = replace(run, count=run.count + 1)
            continue
        if run:
            yield run
        run, shape = Group(cls, key_class, 1, *this[:2]), this
    if run:
        yield run


def _cover(program: Program, term: Term, sweep: Sweep, group: Group, n: int, nk: int, price: Price) -> Iterator[Block]:
    if not group.rows or not group.keys:
        return
    known = {"c": group.first, **length_values(n, nk)}
    # At this length the mask may say less: a window that is wider than the sequence is a triangle.
    box = {name: (value, value) for name, value in known.items()}
    box |= {"a": (0, group.rows - 1), "b": (0, group.keys - 1)}
    tile = program.tile_of(sweep)
    few = corner(sweep, tile, tile_count(term.key, group.key_first, nk, tile.key), term.keep, box, known)
    if few is not None:
        yield from (_block(group, *one) for one in few)
        return
    keep = restrict(term.keep, box)
    shift = staircase(keep, known)
    if shift is not None:
        yield from _triangle(group, shift, price)
        return
    for ways in reaches(program, term, sweep, group, n, nk):
        for part, pieces in fastest_way(ways, keep, group, box, known, price):
            found = together(block for piece in pieces for block in _of_piece(piece, group, known))
            yield from (one for block in found for own in _sliced(block, price) for one in _again(own, part))


def _of_piece(piece: Piece, group: Group, known: dict[str, int]) -> Iterator[Block]:
    tiles, local = piece
    if not isinstance(local, np.ndarray) and _is_triangle(tiles, local, known):
        yield _block(group, tiles, triangle=True)
    elif (block := masked(tiles, local, known)) is not None:
        yield _block(group, *block)


def _again(block: Block, part: Part) -> Iterator[Block]:
    """A batch of one period, for all of them."""
    if part.times == 1:
        yield block
        return
    for even in block.even():
        yield from (replace(even, tiles=tiles) for tiles in again(even.tiles, part))


def _is_triangle(tiles: Tiles, local: Predicate, known: dict[str, int]) -> bool:
    """Whether each tile of a run is a square of which the kernel leaves scores out by itself, and that needs no mask:
    of smaller ones it computes all."""
    even = tiles.count == 1 or tiles.row_step == tiles.key_step
    square = tiles.rows == tiles.keys > KEYS_AT_ONCE
    return even and square and staircase(local, known) == tiles.row - tiles.key


def _block(group: Group, tiles: Tiles, mask: Mask | None = None, *, triangle: bool = False) -> Block:
    return Block(group.first, group.key_first, group.count, tiles, mask, triangle)


def _sliced(block: Block, price: Price) -> list[Block]:
    """A block with a mask, whole or in the slices that are predicted to be fastest; with a large one in quarters, where
    that is nearly as fast."""
    if block.mask is None:
        return [block]
    *found, last = _fastest([[block], *_in_slices(block, block.tiles, block.mask)], price)
    if found or last.mask is None or last.mask.size <= LARGEST_MASK:
        return [*found, last]
    most = NEARLY * _seconds([last], price)
    few = [way for way in _in_quarters(last, last.tiles, last.mask) if _seconds(way, price) <= most]
    return few[-1] if few else [last]


def _in_slices(block: Block, tiles: Tiles, mask: Mask) -> Iterator[list[Block]]:
    for rows in ROWS:
        if (found := slices(tiles, mask, rows)) is not None:
            yield [replace(block, tiles=own, mask=kept, triangle=False) for own, kept in found]


def _in_quarters(block: Block, tiles: Tiles, mask: Mask) -> Iterator[list[Block]]:
    for found in quarters(tiles, mask):
        yield [replace(block, tiles=own, mask=kept) for own, kept in found]


def _fastest(ways: list[list[Block]], price: Price) -> list[Block]:
    return min(ways, key=lambda way: price.seconds(Effort.total(price.block(block, fresh=True) for block in way)))


def _seconds(way: list[Block], price: Price) -> float:
    """Of blocks that are merged: all but the first have rows of that."""
    return price.seconds(Effort.total(price.block(block, fresh=not at) for at, block in enumerate(way)))


def _triangle(group: Group, shift: int, price: Price) -> Iterator[Block]:
    """Where the kernel computes every score of a triangle, it may be cut into slices too."""
    side = min(group.rows - shift, group.keys)
    below = group.rows - shift - side
    if side > 0:
        whole = _block(group, Tiles(shift, side, 0, 0, side, 0, 1), triangle=True)
        ways = [[whole]]
        if side <= KEYS_AT_ONCE:
            keys = in_lanes(0, side, group.keys)[1]
            ways += _in_slices(whole, replace(whole.tiles, keys=keys), np.tri(side, keys, dtype=np.bool_))
        yield from _fastest(ways, price)
    if below > 0:  # later queries see every key of the class
        yield _block(group, Tiles(shift + side, below, 0, 0, side, 0, 1))
