"""Shadows: sets as they look over the rationals, without divisions. Larger than the set, and found at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from .integer import Binary, Const, Expr, Var
from .isl.presburger import IntegerSet
from .relation import LENGTHS


def shadow(numbers: IntegerSet, dims: Sequence[str], first: Sequence[str]) -> IntegerSet:
    """A superset of ``numbers.onto(dims)`` in which nothing is quantified: piece by piece the rest is eliminated, and
    bounds are rounded on the way.

    What a bound loses depends on the order: 8 e <= a < 8 e + 8 and 8 f <= a < 8 f + 8 give e = f only where a is
    eliminated before e. So it is done twice, the dims of ``first`` before what is quantified and after it.
    """
    late = [dim for dim in numbers.dims if dim not in (*dims, *first)]
    seen = [
        piece.without(first).unquantified().without(late) & piece.unquantified().without((*first, *late))
        for piece in numbers.disjuncts()
    ]
    return IntegerSet.union(seen).onto(dims).unquantified() if seen else numbers.onto(dims)


def free_of(parameters: Sequence[str], numbers: IntegerSet) -> IntegerSet:
    """The shadow of the tuples that are in the set for some values of the parameters."""
    return numbers.for_some(*parameters).unquantified()


def bounds(hull: IntegerSet, dim: str) -> tuple[Expr, Expr] | None:
    """``lo, hi`` in the other dims and the parameters: lo <= dim < hi is what a convex set in which nothing is
    quantified says of ``dim``; None where it has no bound on a side."""
    low: list[Expr] = []
    high: list[Expr] = []
    for factors, constant, equal in hull.constraints():
        own = factors.get(dim, 0)
        rest = {name: factor for name, factor in factors.items() if name != dim}
        if own > 0 or (own and equal):  # own * dim >= -rest
            low.append(_rounded_up(rest, constant, own) if own > 0 else _rounded_up(_negated(rest), -constant, -own))
        if own < 0 or (own and equal):  # -own * dim <= rest
            ends = (rest, constant, -own) if own < 0 else (_negated(rest), -constant, own)
            high.append(_over(_sum(ends[0], ends[1] + ends[2]), ends[2]))
    if not low or not high:
        return None
    return reduce(_largest, low), reduce(_smallest, high)


def least(numbers: IntegerSet) -> int:
    """A lower bound of the magnitudes of a set of numbers, at any length."""
    ends = [_ends(piece) for piece in numbers.disjuncts()]
    return min((max(0, low or 0, -(high or 0)) for low, high in ends), default=0)


def extent(numbers: IntegerSet) -> tuple[int | None, int | None]:
    """Bounds of a set of numbers, at any length; None where it has none on a side."""
    lows, highs = zip(*(_ends(piece) for piece in numbers.disjuncts()), strict=True)
    return None if None in lows else min(lows), None if None in highs else max(highs)


def _ends(piece: IntegerSet) -> tuple[int | None, int | None]:
    (dim,) = piece.dims
    low: int | None = None
    high: int | None = None
    for factors, constant, equal in free_of(LENGTHS, piece.unquantified()).constraints():
        factor = factors.get(dim, 0)
        if factor > 0 or (factor and equal):
            low = -(constant // abs(factor)) if factor > 0 else constant // abs(factor)
        if factor < 0 or (factor and equal):
            high = constant // abs(factor) if factor < 0 else -(constant // abs(factor))
    return low, high


def _rounded_up(rest: Mapping[str, int], constant: int, factor: int) -> Expr:
    """The least integer of at least -(rest + constant) / factor."""
    return _over(_sum(_negated(rest), factor - 1 - constant), factor)


def _negated(factors: Mapping[str, int]) -> dict[str, int]:
    return {name: -factor for name, factor in factors.items()}


def _largest(left: Expr, right: Expr) -> Expr:
    return Binary("max", left, right)


def _smallest(left: Expr, right: Expr) -> Expr:
    return Binary("min", left, right)


def _over(value: Expr, divisor: int) -> Expr:
    return value if divisor == 1 else Binary("//", value, Const(divisor))


def _sum(factors: Mapping[str, int], constant: int) -> Expr:
    """Positive terms first, so that few differences have to be taken."""
    total: Expr | None = None
    for name, factor in sorted(factors.items(), key=lambda item: item[1] < 0):
        term = Var(name) if abs(factor) == 1 else Binary("*", Const(abs(factor)), Var(name))
        if total is None:
            total = term if factor > 0 else Binary("-", Const(0), term)
        else:
            total = Binary("+" if factor > 0 else "-", total, term)
    if total is None:
        return Const(constant)
    if not constant:
        return total
    return Binary("+" if constant > 0 else "-", total, Const(abs(constant)))
