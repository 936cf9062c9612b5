"""lower: the passes, once each, in order, from an expression in core form to a confirmed program."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...patterns_dsl.syntax import Direction, Expression
from ..kernels.emit.program import emit
from ..kernels.emit.table import takes
from ..kernels.read.program import read
from ..passes.arrange import Arrangement
from ..passes.fuse import fuse
from ..passes.program import Program, Tile
from ..passes.sizes import Sized, sizes
from ..passes.split import split
from ..passes.ways import Refused
from ..relations.denote import denote
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.relation import Relation
from .confirm import Unconfirmed, confirm
from .runnable import refuse_open, refuse_tables, too_complex

_OPERATIONS = 1_500_000


@dataclass(frozen=True)
class Lowered:
    """A confirmed program, its kernels as source, and the layout search that led to it: of each tile that was tried,
    the taken one first."""

    program: Program
    source: str
    sizes: tuple[Sized, ...]

    @property
    def arrangements(self) -> tuple[Arrangement, ...]:
        """Of the tile that was taken."""
        return self.sizes[0].arrangements


def lower(expression: Expression, direction: Direction, name: str, tile: Tile | None = None, table: int = 0) -> Lowered:
    """Compile a relation, in tiles of the cheapest size or of a stated one. ``table``: the tokens of a block of a
    seeded table beside it, or 0; kernels that can take its lists do. Raises PatternError for a relation that cannot be
    compiled: P401 where the set computations run out of their budget or find no ranges, P403 for what is decided at run
    time. ``Unconfirmed`` would say that what was emitted is not the pattern.
    """
    refuse_open(expression)
    refuse_tables(expression)
    try:
        with budget(_OPERATIONS):
            return _beside(table, _lower(expression, direction, name, tile))
    except (BudgetExceeded, Refused) as error:
        raise too_complex(expression, error) from None


def _lower(expression: Expression, direction: Direction, name: str, tile: Tile | None) -> Lowered:
    found = sizes(split(expression, direction), tile)
    meaning = denote(expression, direction)
    for place, sized in enumerate(found):
        try:
            with budget(_OPERATIONS):
                program, source = _confirmed(sized, direction, name, meaning)
        except (BudgetExceeded, Refused):
            # Where a program in smaller tiles is too hard to confirm, the next one may not be.
            if sized is found[-1]:
                raise
            continue
        return Lowered(program, source, (sized, *found[:place], *found[place + 1 :]))
    raise AssertionError("one tile at least is tried")


def _confirmed(sized: Sized, direction: Direction, name: str, meaning: Relation) -> tuple[Program, str]:
    placements = [placement for arrangement in sized.arrangements for placement in arrangement.placements]
    program = fuse(name, direction, placements, sized.tile)
    source = emit(program)
    return confirm(source, meaning), source  # what was proved, not what it was written from


def _beside(table: int, lowered: Lowered) -> Lowered:
    """The program, whose kernels take what a seeded table draws beside its own pairs, where they can. The terms say
    nothing of the table: they stay confirmed."""
    if not table or not takes(lowered.program, table):
        return lowered
    program = replace(lowered.program, table=table)
    source = emit(program)
    if read(source) != program:
        raise Unconfirmed(f"the kernels of {program.name} with a table are not read back as they were meant")
    return replace(lowered, program=program, source=source)
