"""How much each stationary tile of a kernel sweeps, and which tiles are shared out among several program instances.

A tile that sweeps much more than others may end long after them: the rows and the columns of a global token, or all
rows where there are few of them, as in decoding. The choice takes no clock: the same call is always split alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..passes.count import tile_count
from ..passes.pinned import Pinned
from ..passes.program import Fan, Kernel, Order, Program, Range, Sweep, Tile
from ..relations.integer import All, Binary, Compare, Const, Expr, Select, Var, length_values, substitute
from ..relations.recurring import periods
from ..relations.tape import Gaps, Tape
from .launch import Role
from .stretches import FEW, FEW_OF_FANS, Counted, counted, period_of

ALL = 1 << 30
"""More tiles than there are."""

LEAST = 4
"""Tiles of the swept side that a share has at least: what is shorter costs more to join than it saves."""

MOST_SHARES = 64

LATE = 16
"""A tile that starts last may take this part of the time of all."""


@dataclass(frozen=True, slots=True)
class Split:
    """The stationary tiles ``lo <= tile < hi`` of every class, or those of ``lo <= tile`` and those of ``tile < hi``
    where ``lo > hi``, have what they sweep shared out among ``shares`` instances."""

    lo: int = 0
    hi: int = 0
    shares: int = 1

    def tiles(self, count: int) -> int:
        """How many of ``count`` tiles these are."""
        hi = min(self.hi, count)
        return max(count - self.lo, 0) + hi if self.lo > self.hi else max(hi - self.lo, 0)


WHOLE = Split()
"""Nothing is shared out."""


def kernel_of(program: Program, role: Role, index: int) -> tuple[Kernel, int]:
    """A kernel, and the ranks of its stationary tiles."""
    if role == "backward_key":
        kernel = program.backward[index]
        return kernel, program.keys_held(kernel)
    kernel = program.forward[index]
    return kernel, program.queries_held(kernel)


def swept_tiles(
    program: Program, role: Role, index: int, n: int, nk: int, queries: tuple[int, int] = (0, ALL)
) -> NDArray[np.int64]:
    """[stationary tiles of class 0]: the tiles that kernel ``index`` of a role visits for each, of one head; diagonals
    and narrow tiles are as many as cost as much. Class 0 is longest. ``n`` queries, or tokens, and ``nk`` keys; of the
    query tokens only the half-open range ``queries`` has rows, as far as they are swept."""
    kernel, held = kernel_of(program, role, index)
    keys_stand = role == "backward_key"
    spans, sides, period = _swept(Pinned(program), role, index)
    values = length_values(n, nk) | {"c": 0}
    for number, (order, cls, size) in enumerate(sides):
        begin, end = window(order, size, max(0, queries[1] - queries[0]), queries[0], n) if keys_stand else (0, 0)
        others = tile_count(order, cls, n if keys_stand else nk, size)
        values |= {f"T{number}": others, f"begin{number}": begin, f"end{number}": end}

    def count(tiles: NDArray[np.int32], gaps: Gaps) -> Counted:
        total, proved = np.zeros(tiles.shape, dtype=np.int64), np.ones(tiles.shape[1], dtype=np.bool_)
        for some in spans:
            swept, even = some.count(tiles, gaps, values)
            total += swept
            proved &= even
        return total, proved

    few = FEW if all(some.steps is None for some in spans) else FEW_OF_FANS
    return counted(count, tile_count(kernel.order, 0, nk if keys_stand else n, held), period, few)


@dataclass(frozen=True, slots=True)
class _Spans:
    """Ranges of a kernel, ready to be counted: all without a fan, or one with, of which ``steps`` are the first and the
    last. ``costs``: of a tile of each."""

    still: str
    sizes: Tape  # of a step
    costs: tuple[float, ...]
    steps: Tape | None

    def count(self, tiles: NDArray[np.int32], gaps: Gaps, values: dict[str, int]) -> Counted:
        """As ``Count``. The integers are those of kernels, which are refused a length for which these are too short."""
        known: dict[str, Any] = {**values, self.still: tiles}
        if self.steps is None:
            return self._counted(known, tiles, gaps)
        (first, last), even = self.steps.at(known, gaps)
        total = np.zeros(tiles.shape, dtype=np.int64)
        steps = np.arange(int(np.min(first)), int(np.max(last)), dtype=np.int32)
        for some in np.array_split(steps, -(-len(steps) * tiles.size // _AT_ONCE) or 1):
            swept, alike = self._counted(known | {"d": some[:, None, None]}, tiles, gaps)
            total += swept
            even &= alike
        return total, even

    def _counted(self, values: dict[str, Any], tiles: NDArray[np.int32], gaps: Gaps) -> Counted:
        found, even = self.sizes.at(values, gaps)
        total, shape = np.zeros(tiles.shape, dtype=np.int64), (*np.shape(values.get("d", 0))[:1], *tiles.shape)
        for swept, cost in zip(found, self.costs, strict=True):
            if cost != 1:
                swept = np.broadcast_to(swept, shape)
                if gaps is not None:
                    even &= (swept[..., 0, :] == swept[..., 1, :]).reshape(-1, tiles.shape[1]).all(axis=0)
                swept = np.ceil(swept * cost).astype(np.int64)
            if len(shape) > tiles.ndim:
                swept = np.broadcast_to(swept, shape).sum(axis=0, dtype=np.int64)
            total += swept
        return total, even


_AT_ONCE = 1 << 17
"""So many tiles of the steps of a fan are counted together."""


_Side: TypeAlias = tuple[Order, int, int]
"""The tiles that are swept: those of a class of an order, of so many ranks."""


@lru_cache(maxsize=256)
def _swept(pinned: Pinned[Program], role: Role, index: int) -> tuple[tuple[_Spans, ...], tuple[_Side, ...], int]:
    """The ranges of a kernel; what is swept, by the number in the names of its tiles; and after how many tiles what
    they are divided by begins anew."""
    program = pinned.program
    kernel, held = kernel_of(program, role, index)
    keys_stand = role == "backward_key"
    still, whole = ("J", Tile(program.tile.query, held)) if keys_stand else ("I", Tile(held, program.tile.key))
    sides: dict[_Side, int] = {}
    plain: list[tuple[Expr, float]] = []
    fans: list[tuple[Expr, float, Fan, int]] = []
    divided: frozenset[int] = frozenset()
    for sweep in kernel.sweeps:
        tile = program.tile_of(sweep)
        side = _side(program, sweep, keys_stand)
        number = sides.setdefault(side, len(sides))
        for span in sweep.ranges:
            cost = tile.diagonal if span.diagonal else tile.price / whole.price
            size = _numbered(_size(span, windowed=keys_stand), number)
            divided |= periods(size, frozenset({still}))
            if span.fan is None:
                plain.append((size, cost))
            else:
                fans.append((size, cost, span.fan, number))
    names = ("n", "nq", "nk", "c", *(f"{name}{number}" for name in _WINDOWED for number in sides.values()), still)
    found = []
    if plain:
        sizes, costs = zip(*plain, strict=True)
        found.append(_Spans(still, Tape.of(sizes, names, still), costs, None))
    for size, cost, fan, number in fans:
        ends = _numbered(fan.first, number), _numbered(fan.last, number)
        found.append(_Spans(still, Tape.of((size,), (*names, "d"), still, "d"), (cost,), Tape.of(ends, names, still)))
    return tuple(found), tuple(sides), period_of(divided)


_WINDOWED = ("T", "begin", "end")


def _side(program: Program, sweep: Sweep, keys_stand: bool) -> _Side:
    term, tile = program.terms[sweep.term], program.tile_of(sweep)
    if keys_stand:
        return term.query, term.turn.back(term.query.classes).of(0, term.query.classes), tile.query
    return term.key, term.key_class(0), tile.key


def _size(span: Range, *, windowed: bool) -> Expr:
    """How many tiles, or diagonals, a range has at a step; of query tiles only those of a window."""
    low, high = span.lo, span.hi
    if not span.diagonal:
        low, high = Binary("max", low, Const(0)), Binary("min", high, Var("T"))
        if windowed:
            low, high = Binary("max", low, Var("begin")), Binary("min", high, Var("end"))
    size: Expr = Binary("max", Binary("-", high, low), Const(0))
    if span.fan is None:
        return size
    inside = Compare("<=", span.fan.first, Var("d")), Compare("<", Var("d"), span.fan.last)
    return Select(All(inside), size, Const(0))


def _numbered(expr: Expr, number: int) -> Expr:
    """By the tiles of a side."""
    found: Expr = substitute(expr, {name: Var(f"{name}{number}") for name in _WINDOWED})
    return found


def window(order: Order, held: int, rows: int, offset: int, n: int) -> tuple[int, int]:
    """The query tiles, of ``held`` ranks, that have a row in q in some class, as a half-open range."""
    begin, end = order.whole(order.classes - 1, min(offset, n)), order.ranks(0, min(offset + rows, n))
    return begin // held, -(-end // held)


def split(work: NDArray[np.int64], first: int, instances: int, together: int, processors: int) -> Split:
    """``work``: what the stationary tiles from ``first`` on sweep. Each is computed by ``instances`` program instances
    (blocks of a tile, classes, sequences, heads) on a device of so many ``processors``, of which ``together`` start
    before any of the next tile of another head does.

    A tile may take its fair part of the work of the heads that start together: a longer one of the last of these would
    end after everything else. What starts late in a head may take even less of it, which is not looked at."""
    if not len(work):
        return WHOLE
    total = float(work.sum()) / processors
    fair = max(total * together, total * instances / LATE, LEAST)
    shares = min(MOST_SHARES, int(work.max() // fair))
    if shares < 2:
        return WHOLE
    lo, hi = _heavy(work >= 2 * fair, int(work.argmax()))
    return Split(0, ALL, shares) if lo == hi else Split(first + lo, first + hi, shares)


def _heavy(heavy: NDArray[np.bool_], at: int) -> tuple[int, int]:
    """The heavy tiles around ``at``, as a half-open range; where it comes to one end it goes on at the other, and then
    begins after where it ends. Of all tiles both are the same."""
    count = len(heavy)
    light = np.flatnonzero(~heavy)
    if not len(light):
        return 0, 0
    lo, hi = int(light[light < at].max(initial=-1)) + 1, int(light[light > at].min(initial=count))
    if hi == count and heavy[0] and lo > 0:
        hi = int(light[0])
    elif lo == 0 and heavy[-1] and hi < count:
        lo = int(light[-1]) + 1
    return lo, hi
