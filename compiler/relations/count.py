"""How many keys a query has, as a closed form: exact, or not at all.

A set of pairs is cut into disjoint convex pieces. In a piece the keys of one query are an interval [lo, hi] of some
coordinate x, less the residues that the piece leaves out; that they are is proved, not assumed. Then, with F(x) the
number of occupied residues below x,

    keys(i) = sum over pieces of F(hi(i) + 1) - F(lo(i)),     x = j or x = i - j

    F(x) = sum over runs (start, count) of  count * ((x - start) div m) + min(count, (x - start) mod m)

On a grid the keys of a query are a product instead, j = m * q + x with q and x chosen apart; then

    keys(i) = (number of q) * (number of x)

has a closed form where one of the two takes few values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from .functions import IntegerFunction, greatest, least
from .integer import evaluate, length_values
from .isl.presburger import IntegerSet
from .periods import occupied

MOST_PIECES = 64
MOST_RUNS = 16
MOST_AXES = 3
"""A relation of more pieces, a piece of more runs of residues, or a grid of more axes is not counted."""

AT_ONCE = 1 << 20
"""Queries whose counts are added up at once."""

Runs = tuple[tuple[int, int], ...]


class Uncountable(Exception):
    """The keys of a query have no closed form that is found here."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where the query and the end of the sequence are on the axis that is counted, as formulas; and how many factors
    its numbers may still be split into."""

    own: str = "v_i"
    end: str = "v_n"
    splits: int = MOST_AXES - 1

    def rows(self, width: int) -> _Axis:
        return _Axis(f"floor(({self.own}) / {width})", f"floor(({self.end}) / {width})", self.splits - 1)

    def columns(self, width: int) -> _Axis:
        return _Axis(f"(({self.own}) mod {width})", f"(({self.end}) mod {width})", self.splits - 1)


def row_counts(pairs: IntegerSet, rows: IntegerSet) -> IntegerFunction:
    """The number of j for each i in ``rows``, for pairs over (i, j) in which every i of finitely many j.

    Raises Uncountable.
    """
    return _row_counts(pairs, rows, _Axis())


def added_up(counts: IntegerFunction, rows: IntegerSet, n: int, nk: int | None = None) -> int:
    """The sum of counts over the queries of one length, from their closed form; ``rows``: where they are defined."""
    # Imported on use: what is proved of sets alone needs no arrays.
    import numpy as np

    closed, lengths, total = counts.closed_form(rows), length_values(n, nk), 0
    for first in range(0, n, AT_ONCE):
        queries = np.arange(first, min(n, first + AT_ONCE), dtype=np.int64)
        total += int(np.broadcast_to(evaluate(closed, {"i": queries, **lengths}, np), queries.shape).sum())
    return total


def _row_counts(pairs: IntegerSet, rows: IntegerSet, axis: _Axis) -> IntegerFunction:
    pieces = pairs.pieces()
    if len(pieces) > MOST_PIECES:
        raise Uncountable(f"the relation falls into {len(pieces)} pieces")
    total = IntegerFunction.parse(("i",), "0").within(rows)
    for piece in pieces:
        total = total.plus(_piece(piece, axis))
    return total


def _piece(piece: IntegerSet, axis: _Axis) -> IntegerFunction:
    distances = piece.image(("i", "x"), "v_x = v_i - v_j")
    for coordinate in (piece.rename({"j": "x"}), distances):
        if _between(coordinate) <= coordinate:
            return _counted(coordinate, 1, ((0, 1),))
    for modulus in piece.moduli:
        for coordinate in (piece.rename({"j": "x"}), distances):
            runs = occupied(coordinate, "x", modulus, MOST_RUNS)
            if runs is not None and (_between(coordinate) & _residues(modulus, runs)) <= coordinate:
                return _counted(coordinate, modulus, runs)
    for modulus in piece.moduli if axis.splits else ():
        if (counted := _by_rows(piece, modulus, axis)) is not None:
            return counted
    raise Uncountable("the keys of a query are no interval of a period, and no product of two")


def _by_rows(piece: IntegerSet, width: int, axis: _Axis) -> IntegerFunction | None:
    """The keys of each i on a grid of rows of ``width``; None where they are no product, even with the last row, which
    may be cut short, and the query's own counted apart."""
    split = piece.image(("i", "q", "x"), f"v_q = floor(v_j / {width}) and v_x = v_j mod {width}")
    rows, columns = axis.rows(width), axis.columns(width)
    last = [f"v_q {sign} {rows.end}" for sign in "<=>"]
    own = [f"v_q {sign} {rows.own}" for sign in "<=>"]
    for apart in (["true"], last, own, [f"{one} and {other}" for one, other in product(last, own)]):
        parts = (split & IntegerSet.parse(split.dims, condition, ("n",)) for condition in apart)
        total: IntegerFunction | None = None
        for part in parts:
            if not part.empty:
                counted = _product(part, rows, columns)
                if counted is None:
                    break
                total = counted if total is None else total.plus(counted)
        else:
            return total
    return None


def _product(split: IntegerSet, rows: _Axis, columns: _Axis) -> IntegerFunction | None:
    """The keys of each i as a product of quotients q and remainders x, both counted in turn."""
    quotients, remainders = split.onto(("i", "q")), split.onto(("i", "x"))
    if not (quotients.onto(split.dims) & remainders.onto(split.dims)) <= split:
        return None
    queries = split.onto(("i",))
    try:
        across = _row_counts(remainders.rename({"x": "j"}), queries, columns)
        down = _row_counts(quotients.rename({"q": "j"}), queries, rows)
    except Uncountable:
        return None
    for one, other in ((across, down), (down, across)):
        values = one.values(MOST_RUNS)
        if values:
            total = other.within(one.equal_to(values[0])) * values[0]
            for value in values[1:]:
                total = total.plus(other.within(one.equal_to(value)) * value)
            return total
    return None


def _between(numbers: IntegerSet) -> IntegerSet:
    """The hull of the x of each i."""
    dims = ("i", "L", "x", "U")
    low, high = numbers.rename({"x": "L"}).onto(dims), numbers.rename({"x": "U"}).onto(dims)
    return (low & high & IntegerSet.parse(("L", "x", "U"), "v_L <= v_x <= v_U").onto(dims)).onto(("i", "x"))


def _residues(modulus: int, runs: Runs) -> IntegerSet:
    parts = " or ".join(f"{start} <= (v_x mod {modulus}) < {start + count}" for start, count in runs)
    return IntegerSet.parse(("i", "x"), parts)


def _counted(numbers: IntegerSet, modulus: int, runs: Runs) -> IntegerFunction:
    low, high = least(numbers, "x"), greatest(numbers, "x") + 1
    if modulus == 1:
        return high - low
    return _below(high, modulus, runs) - _below(low, modulus, runs)


def _below(end: IntegerFunction, modulus: int, runs: Runs) -> IntegerFunction:
    """How many occupied numbers lie below ``end``, counted from that of the first run's start."""
    total: IntegerFunction | None = None
    for start, count in runs:
        past = end + -start
        part = (past // modulus) * count + (past % modulus).minimum(past * 0 + count)
        total = part if total is None else total + part
    assert total is not None
    return total
