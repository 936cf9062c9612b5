"""lower: the passes, once each, in order, from an expression in core form to a confirmed program."""

from __future__ import annotations

from dataclasses import dataclass

from ..patterns_dsl.syntax import Direction, Expression
from .confirm import confirm
from .kernels.emit import emit
from .passes.arrange import Arrangement, arrange
from .passes.coarse import Refused
from .passes.fuse import fuse
from .passes.merge import merge
from .passes.program import TILE, Program, Tile
from .passes.split import split
from .relations.context import BudgetExceeded, budget
from .relations.denote import denote
from .runnable import refuse_open, refuse_tables, too_complex

_OPERATIONS = 1_500_000


@dataclass(frozen=True)
class Lowered:
    """A confirmed program, its kernels as source, and the layout search that led to it."""

    program: Program
    source: str
    arrangements: tuple[Arrangement, ...]


def lower(expression: Expression, direction: Direction, name: str, tile: Tile = TILE) -> Lowered:
    """Compile a relation. Raises PatternError for one that cannot be compiled: P401 where the set computations run
    out of their budget or find no ranges, P403 for what is decided at run time. ``Unconfirmed`` would say that what was
    emitted is not the pattern.
    """
    refuse_open(expression)
    refuse_tables(expression)
    try:
        with budget(_OPERATIONS):
            return _lower(expression, direction, name, tile)
    except (BudgetExceeded, Refused) as error:
        raise too_complex(expression, error) from None


def _lower(expression: Expression, direction: Direction, name: str, tile: Tile) -> Lowered:
    arrangements = merge(arrange(split(expression, direction), tile), tile)
    placements = [placement for arrangement in arrangements for placement in arrangement.placements]
    program = fuse(name, direction, placements, tile)
    source = emit(program)
    confirm(source, denote(expression, direction))
    return Lowered(program, source, arrangements)
