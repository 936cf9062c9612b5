"""A term at one length, as a few batches of equally shaped dense blocks: what the compose engine runs.

A *triangle* is the whole term when its mask is ``b <= a - s``. *Bands* are runs of query tiles, every p-th of them,
whose key ranges have one width and advance evenly. A *stack* cuts a growing range into groups of tiles: the keys that
all of a group sees in full are one unmasked block, what is left on either side is a band over the groups. Of bands and
stack the cheaper is taken, by its predicted time; where there is neither, every tile stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from ...compiler.passes.program import Program, Sweep, Term
from ...compiler.relations.affine import Box, restrict, staircase
from ...compiler.relations.integer import TRUE, All, Compare, Const, Predicate, Var, length_values, variables
from .machine import Effort
from .masks import Mask, Tiles, in_lanes, masked, runs
from .price import KEYS_AT_ONCE, Price
from .shapes import Group, Reach, Shape, alike, bands, coarser, fewest, reaches
from .slices import ROWS, slices
from .stacks import stack

MOST_PIECES = 256
"""A shape of more batches is given up, unless it is the only one."""

LARGEST_TILE = 128
"""Small tiles are taken together as far as blocks of so many queries."""


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
        """The batch as batches without growth; a tile that has no key is left out."""
        if not self.growth:
            yield self
            return
        for t in range(self.tiles.count):
            keys = self.tiles.keys + t * self.growth
            if keys > 0:
                yield replace(self, tiles=replace(self.tiles.part(t, 1), keys=keys), growth=0)

    def portions(self, size: int) -> Iterator[Block]:
        """The batch, which has no growth, as batches of up to ``size`` blocks, where one class or tile has no more."""
        tiles = self.tiles
        if tiles.count >= self.classes:
            step = max(1, size // self.classes)
            for first in range(0, tiles.count, step):
                yield replace(self, tiles=tiles.part(first, min(step, tiles.count - first)))
            return
        step = max(1, size // tiles.count)
        for first in range(0, self.classes, step):
            count = min(step, self.classes - first)
            yield replace(self, first_class=self.first_class + first, key_class=self.key_class + first, classes=count)


def blocks(program: Program, sweep: Sweep, n: int, nk: int, price: Price) -> tuple[Block, ...]:
    """The batches that cover one term for n queries and nk keys; together they hold each pair of the term once."""
    term = program.terms[sweep.term]
    groups = _groups(term, sweep, n, nk)
    return tuple(block for group in groups for block in _cover(program, term, sweep, group, n, nk, price))


def _groups(term: Term, sweep: Sweep, n: int, nk: int) -> Iterator[Group]:
    """Runs of classes with equally many queries and keys and the same pairs of ranks, as far as that is seen: where the
    class matters to the term, of triangles alone."""
    names = variables(term.keep).union(*(variables(span.lo) | variables(span.hi) for span in sweep.ranges))
    run: Group | None = None
    shape: tuple[int, int, int | None] | None = None
    for cls in range(term.query.classes):
        key_class = (cls + term.shift) % term.key.classes
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
    keep = restrict(_kept(term), box)
    shift = staircase(keep, known)
    if shift is not None:
        yield from _triangle(group, shift, price)
        return
    for ways in reaches(program, term, sweep, group, n, nk):
        found = [[piece for reach in way for piece in _best(keep, reach, group, box, known, price)] for way in ways]
        pieces = found[0] if len(found) == 1 else min(found, key=partial(_seconds, group, price))
        for tiles, local, growth in pieces:
            block = masked(tiles, local, known)
            if block is not None:
                yield from _sliced(_block(group, *block, growth=growth), price)


def _kept(term: Term) -> Predicate:
    """The mask of a term. That keys exist is part of it where it is no matter of ranks."""
    if not term.key.tiled:
        return term.keep
    return All((term.keep, Compare("<", term.key.expression(Const(0), Var("b")), Var("n"))))


_Masked: TypeAlias = tuple[list[Shape], Predicate]

_Piece: TypeAlias = tuple[Tiles, Predicate, int]
"""A run of tiles, what is left of the mask on it, and how many keys each tile has more than the one before."""


def _best(keep: Predicate, reach: Reach, group: Group, box: Box, known: dict[str, int], price: Price) -> list[_Piece]:
    """The shape of a reach that is predicted to be fastest, of those that do not fall into very many pieces; where each
    does, the first of them. Beyond the tiles, where the mask of a term says nothing, it is asked which are visited: by
    a stack, and by blocks of several tiles."""
    beyond = restrict(All((keep, reach.visited)), box)
    first: _Masked | None = None
    best: list[_Piece] | None = None
    least = math.inf
    for shape, mask in _shapes(keep, beyond, reach, group, box):
        first = first or (shape, mask)
        found = _cheaper(_pieces(mask, shape, known), group, price, least)
        if found is not None:
            best, least = found
    if best is not None:
        return best
    shape, mask = first or (fewest(alike(reach) if keep == TRUE else reach, group), keep)
    return list(_pieces(mask, shape, known))


def _shapes(keep: Predicate, beyond: Predicate, reach: Reach, group: Group, box: Box) -> Iterator[_Masked]:
    """The shapes that a reach has, each under its mask."""
    if (shape := bands(reach, group)) is not None:
        yield shape, keep
    if shape := stack(reach, group, beyond, box, exact=keep == TRUE):
        yield shape, beyond
    for tiles in (2, 4, 8):
        fits = tiles * reach.size <= LARGEST_TILE and reach.size * tiles < 2 * group.rows
        if fits and (shape := bands(coarser(reach, tiles), group)) is not None:
            yield shape, beyond


def _cheaper(
    pieces: Iterator[_Piece], group: Group, price: Price, least: float
) -> tuple[list[_Piece], float] | None:
    """The pieces, and seconds that they are predicted to take, unless these are ``least`` or more, or they are many. To
    look for pieces takes longer than to add up what they take."""
    found: list[_Piece] = []
    seconds = 0.0
    for piece in pieces:
        found.append(piece)
        seconds += _seconds(group, price, [piece])
        if seconds >= least or len(found) > MOST_PIECES:
            return None
    return found, seconds


def _pieces(keep: Predicate, shape: list[Shape], known: dict[str, int]) -> Iterator[_Piece]:
    for tiles, full, growth in shape:
        if full:
            yield tiles, TRUE, growth
        else:
            yield from ((run, local, 0) for run, local in runs(keep, tiles, known))


def _seconds(group: Group, price: Price, pieces: list[_Piece]) -> float:
    """What the pieces are predicted to take; tiles that grow run one by one."""
    efforts = (
        price.tiles(even.tiles, group.count, masked=local != TRUE)
        for tiles, local, growth in pieces
        for even in _block(group, tiles, growth=growth).even()
    )
    return price.seconds(Effort.total(efforts))


def _block(group: Group, tiles: Tiles, mask: Mask | None = None, *, triangle: bool = False, growth: int = 0) -> Block:
    return Block(group.first, group.key_first, group.count, tiles, mask, triangle, growth)


def _sliced(block: Block, price: Price) -> list[Block]:
    """A block with a mask, whole or in the slices that are predicted to be fastest."""
    if block.mask is None:
        return [block]
    return _fastest([[block], *_in_slices(block, block.tiles, block.mask)], price)


def _in_slices(block: Block, tiles: Tiles, mask: Mask) -> Iterator[list[Block]]:
    for rows in ROWS:
        if (found := slices(tiles, mask, rows)) is not None:
            yield [replace(block, tiles=own, mask=kept, triangle=False) for own, kept in found]


def _fastest(ways: list[list[Block]], price: Price) -> list[Block]:
    return min(ways, key=lambda way: price.seconds(Effort.total(price.block(block, fresh=True) for block in way)))


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
