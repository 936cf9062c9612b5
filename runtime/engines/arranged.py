"""A program as it was arranged: every term in its own orders, as batches of blocks that are views, or as diagonals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...compiler.passes.program import NATURAL, Program, Term
from . import diagonals
from .blocks import Block, blocks
from .diagonals import Diagonals
from .machine import Effort
from .price import Price
from .stages import Batch, Biases, Stage, Stages
from .views import Side


def arranged(program: Program, n: int, nk: int, price: Price, biases: Biases) -> tuple[Stages, Effort]:
    """The stages for n queries and nk keys, term by term, and what they ask for; terms without a pair have none."""
    stages: list[Stage | Diagonals] = []
    efforts: list[Effort] = []
    for kernel in program.forward:
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            if sweep.diagonal:
                if (found := diagonals.find(program, sweep, n, nk, fresh=not stages)).each:
                    stages.append(found)
                    efforts.append(price.diagonals(found))
                continue
            parts = blocks(program, sweep, n, nk, price)
            batches = tuple(_batches(parts, biases, first=not stages and term.query == NATURAL))
            if not batches:
                continue
            stages.append(Stage(Side(term.query, n), Side(term.key, nk), batches))
            efforts.append(_moves(term, n, nk, price))
            efforts += (price.block(batch.block, fresh=batch.fresh) for batch in batches)
    return tuple(stages), Effort.total(efforts)


def _batches(parts: Sequence[Block], biases: Biases, *, first: bool) -> Iterator[Batch]:
    """Without growth. Of the ``first`` stage, blocks that share no row with an earlier one are fresh."""
    for number, part in enumerate(parts):
        fresh = first and not any(_meet(part, other) for other in parts[:number])
        for block in part.even():
            yield Batch(block, fresh, biases.of(block.mask))


def _meet(one: Block, two: Block) -> bool:
    """Whether two batches of blocks in natural order may share a row."""
    (first, last), (other_first, other_last) = one.tiles.box()["a"], two.tiles.box()["a"]
    if last < other_first or other_last < first:
        return False
    step = one.tiles.row_step
    if step != two.tiles.row_step or not step:
        return True
    behind = (two.tiles.row - one.tiles.row) % step  # those of one lie between those of the other, or they meet
    return behind < one.tiles.rows or behind + two.tiles.rows > step


def _moves(term: Term, n: int, nk: int, price: Price) -> Effort:
    """Packed orders are gathered."""
    sides = ((term.query, n), (term.key, nk))
    queries, keys = (order.ranks(0, length) if order.count > 1 else 0 for order, length in sides)
    return price.gathered(queries, keys)
