"""A plan for a longer sequence, cut to a shorter one: what a new length costs where it is near one that was planned.

Most patterns say nothing of the length: what they leave of n tokens is what they leave of the first n of N. Then so do
the blocks of a plan: rows and keys from n on are cut off. A plan is made for few lengths, the *milestones*, at most a
quarter apart, and masks are shared by the lengths between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

import torch

from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Program, Range
from ....compiler.relations.integer import Binary, Expr, Select, Var, variables
from .blocks import Block
from .diagonals import Diagonals
from .masks import Tiles
from .pairs import PairTable
from .stages import Batch, Bias, Stage, Stages
from .views import Gathered, Place, Side

FEWEST = 32
"""Milestones are multiples of this."""


def milestone(program: Program | PairTable, n: int, nk: int) -> int:
    """The length that is planned for n tokens: n itself where the pattern depends on it."""
    if program.cross or n != nk or not keeps_to_prefixes(program):
        return n
    step = max(FEWEST, 1 << max(0, (n - 1).bit_length() - 3))
    return -(-n // step) * step


def keeps_to_prefixes(program: Program | PairTable) -> bool:
    """Whether the pairs at n are those at any longer length between the first n tokens, as far as is seen at once."""
    return program.any_length if isinstance(program, PairTable) else _keeps_to_prefixes(Pinned(program))


@lru_cache(maxsize=256)
def _keeps_to_prefixes(pinned: Pinned[Program]) -> bool:
    program = pinned.program
    spans = [span for kernel in program.forward for sweep in kernel.sweeps for span in sweep.ranges]
    # Of a tiled order the ranks that exist are no prefix.
    plain = not any("n" in variables(term.keep) or term.query.tiled or term.key.tiled for term in program.terms)
    return plain and all(map(_any_length, spans))


def _any_length(span: Range) -> bool:
    steps = () if span.fan is None else (span.fan.first, span.fan.last)
    return not any({"n", "T"} & variables(end) for end in steps) and _clipped_alone(span.lo) and _clipped_alone(span.hi)


def _clipped_alone(end: Expr) -> bool:
    """Whether min(end, T) depends on the length only by T: n does not occur, and T as a value of its own alone."""
    match end:
        case Var(name="T"):
            return True
        case Binary(operator="min" | "max", left=left, right=right):
            return _clipped_alone(left) and _clipped_alone(right)
        case Select(condition=condition, then=then, otherwise=otherwise):
            return not {"n", "T"} & variables(condition) and _clipped_alone(then) and _clipped_alone(otherwise)
        case _:
            return not {"n", "T"} & variables(end)


def trimmed(stages: Stages, n: int) -> Stages:
    """The stages for the first n tokens."""
    found = (_trimmed(stage, n) for stage in stages)
    return tuple(stage for stage in found if isinstance(stage, Diagonals) or stage.batches)


def _trimmed(stage: Stage | Diagonals, n: int) -> Stage | Diagonals:
    if isinstance(stage, Diagonals):
        return stage.cut(n)
    query, key = _place(stage.query, n), _place(stage.key, n)
    biases = _Biases()
    return Stage(query, key, tuple(each for batch in stage.batches for each in _cut(batch, query, key, n, biases)))


def _place(place: Place, n: int) -> Place:
    if isinstance(place, Side):
        return Side(place.order, n)
    return Gathered(place.index[: int(torch.searchsorted(place.index, n))])


def _cut(batch: Batch, query: Place, key: Place, n: int, biases: _Biases) -> Iterator[Batch]:
    """The batch as batches of classes with equally many queries and keys, and of tiles of one shape."""
    block = batch.block

    def ranks(at: int) -> tuple[int, int]:
        return _ranks(query, block.first_class + at, n), _ranks(key, block.key_class + at, n)

    for (rows, keys), alike in groupby(range(block.classes), ranks):
        first, *others = alike
        own = replace(
            block, first_class=block.first_class + first, key_class=block.key_class + first, classes=1 + len(others)
        )
        for tiles in _shapes(block.tiles, rows, keys):
            shown = min(tiles.keys, tiles.rows) if block.triangle else tiles.keys
            bias = biases.of(batch.bias, block, tiles.rows, shown)
            mask = None if block.mask is None or bias is None else block.mask[: tiles.rows, :shown]
            yield Batch(replace(own, tiles=replace(tiles, keys=shown), mask=mask), batch.fresh, bias)


def _ranks(place: Place, cls: int, n: int) -> int:
    return place.order.ranks(cls, n) if isinstance(place, Side) else len(place.index)


def _shapes(tiles: Tiles, rows: int, keys: int) -> Iterator[Tiles]:
    """Runs of tiles of one shape, of which so many rows and keys exist."""

    def shape(tile: int) -> tuple[int, int]:
        here = tiles.part(tile, 1)
        return min(tiles.rows, rows - here.row), min(tiles.keys, keys - here.key)

    whole = _within(tiles.row, tiles.rows, tiles.row_step, rows, tiles.count)
    whole = _within(tiles.key, tiles.keys, tiles.key_step, keys, whole)
    if whole:
        yield tiles.part(0, whole)
    for tile in range(whole, tiles.count):
        left = shape(tile)
        if min(left) > 0:
            yield replace(tiles.part(tile, 1), rows=left[0], keys=left[1])


def _within(first: int, size: int, step: int, length: int, count: int) -> int:
    """How many tiles, from the first on, end within the length."""
    if first + size > length:
        return 0
    return count if step == 0 else min(count, (length - first - size) // step + 1)


class _Biases:
    """Parts of masks, views of what they are cut from."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, int], Bias | None] = {}

    def of(self, bias: Bias | None, block: Block, rows: int, keys: int) -> Bias | None:
        """None: every pair is kept."""
        if bias is None or block.mask is None or block.mask.shape == (rows, keys):
            return bias
        at = id(bias), rows, keys
        if at not in self._made:
            mask = block.mask[:rows, :keys]
            dead = ~mask.any(axis=1)
            cut = Bias(bias.added[:rows, :keys], torch.from_numpy(dead) if dead.any() else None)
            self._made[at] = None if mask.all() else cut
        return self._made[at]
