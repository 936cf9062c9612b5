"""A program as it was arranged: every term in its own orders, as batches of blocks that are views, or as diagonals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .....compiler.passes.program import NATURAL, Program, Term
from ..plan.block import Block
from ..plan.diagonal import Diagonals
from ..plan.effort import Effort
from ..plan.place import Side
from ..plan.stage import Batch, Biases, Stage, Stages
from ..pricing.price import Price
from .blocks import blocks
from .diagonals import find


def arranged(program: Program, n: int, nk: int, price: Price, biases: Biases) -> tuple[Stages, Effort]:
    """The stages for n queries and nk keys, term by term, and what they ask for; terms without a pair have none."""
    stages: list[Stage | Diagonals] = []
    efforts: list[Effort] = []
    for kernel in program.forward:
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            if sweep.diagonal:
                if (found := find(program, sweep, n, nk, fresh=not stages)).each:
                    stages.append(found)
                    efforts.append(price.diagonals(found))
                continue
            parts = blocks(program, sweep, n, nk, price)
            written = np.zeros(n, dtype=np.bool_) if not stages and term.query == NATURAL else None
            batches = tuple(_batches(parts, biases, written))
            if not batches:
                continue
            stages.append(Stage(Side(term.query, n), Side(term.key, nk), batches))
            efforts.append(_moves(term, n, nk, price))
            efforts += (price.block(batch.block, fresh=batch.fresh) for batch in batches)
    return tuple(stages), Effort.total(efforts)


def _batches(parts: Sequence[Block], biases: Biases, written: NDArray[np.bool_] | None) -> Iterator[Batch]:
    """Without growth. ``written``: the rows, in natural order, that earlier ones have written; a batch none of whose
    rows is among these is fresh. None: no batch is."""
    for part in parts:
        fresh = written is not None and not _marked(part, written)
        for block in part.even():
            yield biases.batch(block, fresh=fresh)


def _marked(block: Block, written: NDArray[np.bool_]) -> bool:
    """Whether a row of a batch of blocks is written; afterwards all are."""
    tiles = block.tiles
    rows = as_strided(written[tiles.row :], (tiles.count, tiles.rows), (tiles.row_step, 1))
    found = bool(rows.any())
    rows[:] = True
    return found


def _moves(term: Term, n: int, nk: int, price: Price) -> Effort:
    """Packed orders are gathered."""
    return price.gathered(Side(term.query, n).moved, Side(term.key, nk).moved)
