"""A program as it was arranged: every term in its own orders, as batches of blocks that are views, or as diagonals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.program import NATURAL, Program, Sweep
from ..plan.block import Block
from ..plan.diagonal import Diagonal, Diagonals
from ..plan.effort import Effort
from ..plan.place import Side
from ..plan.stage import Batch, Biases, Stage, Stages
from ..pricing.price import Price
from .blocks import blocks
from .diagonals import diagonals
from .on_disk import kept


class Arranged(NamedTuple):
    """The stages of a program, what they ask for, and which sweep each is of."""

    stages: Stages
    effort: Effort
    numbers: tuple[int, ...]


def sweeps(program: Program) -> tuple[Sweep, ...]:
    """In the order in which they run."""
    return tuple(sweep for kernel in program.forward for sweep in kernel.sweeps)


def arranged(program: Program, n: int, nk: int, price: Price, biases: Biases) -> Arranged:
    """For n queries and nk keys, term by term; terms without a pair have no stage."""
    stages: list[Stage | Diagonals] = []
    efforts: list[Effort] = []
    numbers: list[int] = []
    every = sweeps(program)
    known = kept(program, n, nk, price, lambda: [_parts(program, sweep, n, nk, price) for sweep in every])
    for number, (sweep, parts) in enumerate(zip(every, known, strict=True)):
        if (found := _stage(program, sweep, parts, n, nk, biases, first=not stages)) is not None:
            stages.append(found)
            efforts.append(effort_of(found, price))
            numbers.append(number)
    return Arranged(tuple(stages), Effort.total(efforts), tuple(numbers))


def stage_of(
    program: Program, sweep: Sweep, n: int, nk: int, price: Price, biases: Biases, *, first: bool
) -> Stage | Diagonals | None:
    """Of one sweep; None where it has no pair. ``first``: no other comes before it."""
    return _stage(program, sweep, _parts(program, sweep, n, nk, price), n, nk, biases, first=first)


def _parts(program: Program, sweep: Sweep, n: int, nk: int, price: Price) -> tuple[Block | Diagonal, ...]:
    return diagonals(program, sweep, n, nk) if sweep.diagonal else blocks(program, sweep, n, nk, price)


def _stage(
    program: Program, sweep: Sweep, parts: Sequence[Block | Diagonal], n: int, nk: int, biases: Biases, *, first: bool
) -> Stage | Diagonals | None:
    each = tuple(part for part in parts if isinstance(part, Diagonal))
    if each:
        return Diagonals(each, n, fresh=first)
    term = program.terms[sweep.term]
    written = np.zeros(n, dtype=np.bool_) if first and term.query == NATURAL else None
    batches = tuple(_batches((part for part in parts if isinstance(part, Block)), biases, written))
    return Stage(Side(term.query, n), Side(term.key, nk), batches) if batches else None


def effort_of(stage: Stage | Diagonals, price: Price) -> Effort:
    """Of blocks or diagonals of a program; packed orders are gathered."""
    if isinstance(stage, Diagonals):
        return price.diagonals(stage)
    moved = price.gathered(*(place.moved for place in (stage.query, stage.key) if isinstance(place, Side)))
    return Effort.total([moved, *(price.block(batch.block, fresh=batch.fresh) for batch in stage.batches)])


def _batches(parts: Iterable[Block], biases: Biases, written: NDArray[np.bool_] | None) -> Iterator[Batch]:
    """``written``: the rows, in natural order, that earlier ones have written; a batch none of whose rows is among
    these is fresh. None: no batch is."""
    for part in parts:
        yield biases.batch(part, fresh=written is not None and not _marked(part, written))


def _marked(block: Block, written: NDArray[np.bool_]) -> bool:
    """Whether a row of a batch of blocks is written; afterwards all are."""
    tiles = block.tiles
    # A view: to ask as_strided for it takes ten times as long.
    rows = np.ndarray((tiles.count, tiles.rows), np.bool_, written.data, tiles.row, (tiles.row_step, 1))
    found = bool(rows.any())
    rows[:] = True
    return found
