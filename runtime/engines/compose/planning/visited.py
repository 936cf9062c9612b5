"""Which pairs are in the tiles that a range visits, said so that it is seen where that comes again.

Of the ends of a range, which choose between cases, each case is said by itself: a choice between ``I - 4`` and 0 does
not grow evenly from tile to tile, but each of these two does.
"""

from __future__ import annotations

from collections.abc import Callable

from .....compiler.passes.program import Range, Tile
from .....compiler.relations.integer import (
    All,
    AnyOf,
    Binary,
    Compare,
    Const,
    Expr,
    Predicate,
    Select,
    Var,
    negated,
    substitute,
)


def visited(span: Range, tile: Tile, key_tiles: int) -> Callable[[int], Predicate]:
    """Whether a range visits the tile of ranks a and b, by the step of its fan."""
    row, column = (Binary("//", Var(name), Const(size)) for name, size in (("a", tile.query), ("b", tile.key)))
    ends = (span.lo, span.hi) if span.fan is None else (span.lo, span.hi, span.fan.first, span.fan.last)
    lo, hi, *steps = (substitute(end, {"I": row, "T": Const(key_tiles)}) for end in ends)

    def at(step: int) -> Predicate:
        low, high = (substitute(end, {"d": Const(step)}) for end in (lo, hi))
        inside = _between(low, column, high)
        return inside if not steps else All((inside, _between(steps[0], Const(step), steps[1])))

    return at


def _between(lo: Expr, at: Expr, hi: Expr) -> Predicate:
    """``lo <= at < hi``, case by case; where both ends choose by the same condition they choose alike."""
    match lo, hi:
        case Select(condition, then, otherwise), Select(same, hi_then, hi_otherwise) if condition == same:
            cases = _between(then, at, hi_then), _between(otherwise, at, hi_otherwise)
        case Select(condition, then, otherwise), _:
            cases = _between(then, at, hi), _between(otherwise, at, hi)
        case _, Select(condition, then, otherwise):
            cases = _between(lo, at, then), _between(lo, at, otherwise)
        # max(x, y) <= at <=> x <= at and y <= at
        case Binary("max", one, two), _:
            return All((_between(one, at, hi), _between(two, at, hi)))
        case _, Binary("min", one, two):
            return All((_between(lo, at, one), _between(lo, at, two)))
        case _:
            return All((Compare("<=", lo, at), Compare("<", at, hi)))
    return AnyOf((All((condition, cases[0])), All((negated(condition), cases[1]))))
