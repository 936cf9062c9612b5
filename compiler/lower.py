"""lower: the passes, once each, in order, from an expression in core form to a confirmed program."""

from __future__ import annotations

from dataclasses import dataclass

from ..patterns_dsl.syntax import Direction, Expression
from .arrange import Arrangement, arrange
from .confirm import confirm
from .denote import denote
from .emit import emit
from .fuse import fuse
from .merge import merge
from .program import Program, Tile
from .split import split

TILE = Tile(128, 128)


@dataclass(frozen=True)
class Lowered:
    """A confirmed program, its kernels as source, and the layout search that led to it."""

    program: Program
    source: str
    arrangements: tuple[Arrangement, ...]


def lower(expression: Expression, direction: Direction, name: str, tile: Tile = TILE) -> Lowered:
    """Compile a relation. Raises ``Unconfirmed`` if what was emitted is not what the expression says: a bug here."""
    arrangements = merge(arrange(split(expression, direction), tile), tile)
    placements = [placement for arrangement in arrangements for placement in arrangement.placements]
    program = fuse(name, direction is Direction.CAUSAL, placements, tile)
    source = emit(program)
    confirm(source, denote(expression, direction))
    return Lowered(program, source, arrangements)
