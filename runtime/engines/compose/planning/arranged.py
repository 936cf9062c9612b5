"""A program as it was arranged: every term in its own orders, as batches of blocks that are views, or as diagonals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .....compiler.passes.program import NATURAL, Program, Sweep
from ..plan.block import Block
from ..plan.diagonal import Diagonals
from ..plan.effort import Effort
from ..plan.place import Side
from ..plan.stage import Batch, Biases, Stage, Stages
from ..pricing.price import Price
from .blocks import blocks
from .diagonals import find


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
    for number, sweep in enumerate(sweeps(program)):
        if (found := stage_of(program, sweep, n, nk, price, biases, first=not stages)) is not None:
            stages.append(found)
            efforts.append(effort_of(found, price))
            numbers.append(number)
    return Arranged(tuple(stages), Effort.total(efforts), tuple(numbers))


def stage_of(
    program: Program, sweep: Sweep, n: int, nk: int, price: Price, biases: Biases, *, first: bool
) -> Stage | Diagonals | None:
    """Of one sweep; None where it has no pair. ``first``: no other comes before it."""
    if sweep.diagonal:
        found = find(program, sweep, n, nk, fresh=first)
        return found if found.each else None
    term, parts = program.terms[sweep.term], blocks(program, sweep, n, nk, price)
    written = np.zeros(n, dtype=np.bool_) if first and term.query == NATURAL else None
    batches = tuple(_batches(parts, biases, written))
    return Stage(Side(term.query, n), Side(term.key, nk), batches) if batches else None


def effort_of(stage: Stage | Diagonals, price: Price) -> Effort:
    """Of blocks or diagonals of a program; packed orders are gathered."""
    if isinstance(stage, Diagonals):
        return price.diagonals(stage)
    moved = price.gathered(*(place.moved for place in (stage.query, stage.key) if isinstance(place, Side)))
    return Effort.total([moved, *(price.block(batch.block, fresh=batch.fresh) for batch in stage.batches)])


def _batches(parts: Sequence[Block], biases: Biases, written: NDArray[np.bool_] | None) -> Iterator[Batch]:
    """``written``: the rows, in natural order, that earlier ones have written; a batch none of whose rows is among
    these is fresh. None: no batch is."""
    for part in parts:
        yield biases.batch(part, fresh=written is not None and not _marked(part, written))


def _marked(block: Block, written: NDArray[np.bool_]) -> bool:
    """Whether a row of a batch of blocks is written; afterwards all are."""
    tiles = block.tiles
    rows = as_strided(written[tiles.row :], (tiles.count, tiles.rows), (tiles.row_step, 1))
    found = bool(rows.any())
    rows[:] = True
    return found
