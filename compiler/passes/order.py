"""Orders: renumberings of tokens by (class, rank) in which a pattern is blocky."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from ..relations.integer import Binary, Const, Expr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RankT = TypeVar("RankT", int, "NDArray[np.int64]")


@dataclass(frozen=True, slots=True)
class Turn:
    """From each of m classes to another: (factor * class + shift) mod m. The factor has no divisor in common with m, so
    that each is led to from one."""

    shift: int = 0
    factor: int = 1

    def of(self, cls: RankT, classes: int) -> RankT:
        """Where a class leads, or those of an array."""
        return (self.factor * cls + self.shift) % classes

    def back(self, classes: int) -> Turn:
        """The way back."""
        factor = self.factor if self.factor == 1 else pow(self.factor, -1, classes)
        return Turn(-factor * self.shift % classes, factor)

    def formula(self, cls: str, classes: int) -> str:
        """``of`` as a formula over the text of a class."""
        if classes == 1:
            return "0"
        turned = cls if self.factor == 1 else f"{self.factor} * {cls}"
        return f"(({turned} + {self.shift}) mod {classes})"


STRAIGHT = Turn()


@dataclass(frozen=True, slots=True)
class Order:
    """token(c, t) = period * (t // count) + start + c + offset(t % count), for classes c in 0..classes-1, ranks t >= 0.

    Without digits, offset(u) = u. ``NATURAL`` is Order(1, 1, 0, 1). Residue order mod m is Order(m, 1, 0, m): class r
    is the strided view x[r::m]. Packed columns ``j mod 128 in 120..127`` are Order(128, 8, 120, 1): 8 consecutive
    tokens of every period.

    Digits (extent, stride), the fastest first, write u in mixed radix: offset(u) is the sum of digit * stride, and
    ``count`` the product of the extents. A grid of rows of 64 in boxes of 8 rows by 16 columns, one after the other,
    is Order(512, 512, 0, 1, ((16, 1), (8, 64), (4, 16))): columns in a box, rows in a box, boxes in a row of boxes.
    """

    period: int
    count: int
    start: int
    classes: int
    digits: tuple[tuple[int, int], ...] = ()

    def token(self, cls: int, rank: RankT) -> RankT:
        """The token of a rank, or those of an array of ranks."""
        found = self.period * (rank // self.count) + self.start + cls
        for weight, extent, stride in self.weighted():
            found = found + stride * (rank // weight % extent)
        return found

    def formula(self, cls: str, rank: str) -> str:
        """``token`` as a formula over the texts of a class and a rank."""
        if self.count == 1:
            return f"{self.period} * {rank} + {self.start} + {cls}"
        terms = [f"{self.period} * floor({rank} / {self.count}) + {self.start} + {cls}"]
        for weight, extent, stride in self.weighted():
            digit = f"floor({rank} / {weight})" if weight > 1 else rank
            terms.append(f"{stride} * ({digit} mod {extent})" if stride > 1 else f"({digit} mod {extent})")
        return " + ".join(terms)

    def expression(self, cls: Expr, rank: Expr) -> Expr:
        """``token`` as an expression."""
        first = Binary("*", Const(self.period), Binary("//", rank, Const(self.count)))
        total: Expr = Binary("+", Binary("+", first, Const(self.start)), cls)
        for weight, extent, stride in self.weighted():
            digit = Binary("%", Binary("//", rank, Const(weight)), Const(extent))
            total = Binary("+", total, Binary("*", Const(stride), digit))
        return total

    def beside(self, token: str, tile: int) -> str:
        """As a formula over the text of a token, which of the tiles of ``tile`` ranks of its period it is in, in a
        tiled order of which no digit lies across a tile."""
        within = f"({token} - {self.start})"
        digits = ((weight // tile, extent, stride) for weight, extent, stride in self.weighted() if weight >= tile)
        return " + ".join(f"{by} * floor(({within} mod {extent * stride}) / {stride})" for by, extent, stride in digits)

    def weighted(self) -> Iterator[tuple[int, int, int]]:
        """(weight in the rank, extent, stride) of each digit."""
        weight = 1
        for extent, stride in self.digits or ((self.count, 1),):
            yield weight, extent, stride
            weight *= extent

    @property
    def box(self) -> tuple[int, ...]:
        """The cells of a box along a row, a column, ..., in a tiled order."""
        return tuple(extent for extent, _ in self.digits[: (len(self.digits) + 1) // 2])

    @property
    def tiled(self) -> bool:
        """Whether the tokens that exist in the last period of a sequence need not be its first ranks."""
        return bool(self.digits)

    def ranks(self, cls: int, n: int) -> int:
        """How many ranks of the class have a token in 0..n-1; in a tiled order, the ranks of the periods that have."""
        full, rest = divmod(max(0, n - self.start - cls), self.period)
        return full * self.count + (self.count * (rest > 0) if self.tiled else min(rest, self.count))

    def alike(self, cls: int, n: int) -> int:
        """How many classes from this one on, whether they exist or not, have as many ranks as it in 0..n-1: of a tiled
        order itself alone is told."""
        tokens = n - self.start - cls
        if tokens <= 0:
            return 1 << 62
        rest = tokens % self.period or self.period
        return 1 if self.tiled else max(1, rest - self.count + 1)

    def whole(self, cls: int, n: int) -> int:
        """The ranks below this one all have a token in 0..n-1."""
        return max(0, n - self.start - cls) // self.period * self.count if self.tiled else self.ranks(cls, n)

    @property
    def one_to_one(self) -> bool:
        """Whether no two (class, rank) have the same token: nested digits, that end before the next period."""
        reach = self.classes - 1
        for extent, stride in sorted(self.digits or ((self.count, 1),), key=lambda digit: digit[1]):
            if extent > 1 and stride <= reach:
                return False
            reach += (extent - 1) * stride
        return self.start >= 0 and reach < self.period

    @property
    def residues(self) -> bool:
        """Whether the classes are the residues of all tokens, of which neighbours have different ones."""
        return not self.digits and self.count == 1 and self.classes == self.period > 1

    @property
    def covers_all(self) -> bool:
        """Whether every token has a (class, rank)."""
        return self.start == 0 and self.period == (self.count if self.classes == 1 else self.classes)


NATURAL = Order(period=1, count=1, start=0, classes=1)

ALONE = 1 << 24
"""A period longer than sequences are. Nothing hangs on that but the number of ranks."""


def alone(first: int, last: int) -> Order:
    """The order of the tokens first..last-1, and of no others of a sequence shorter than ``ALONE``."""
    return Order(ALONE, last - first, first, 1)


def grid(widths: tuple[int, ...], box: tuple[int, ...]) -> Order:
    """The order of a grid box by box. ``widths`` are tokens a row, a plane, ...; ``box`` the cells of a box along a
    row, a column, ..., one more than widths: the last axis has no end.

    The boxes of a row of boxes are neighbours, then the rows of boxes of a plane of boxes.
    """
    strides = (1, *widths)
    cells = tuple(zip(box, strides, strict=True))
    boxes = tuple(
        (width // (side * stride), side * stride) for width, side, stride in zip(widths, box, strides, strict=False)
    )
    period = strides[-1] * box[-1]
    return Order(period, period, 0, 1, (*cells, *boxes))


def flattened(order: Order) -> Order:
    """The order of the same rows in boxes that are half as high and twice as wide, of those of a grid with an even
    number of rows and of boxes in a row. Of one period first come the boxes of its upper half."""
    (side, _), (height, width), (across, _) = order.digits
    low = height // 2
    return replace(order, digits=((2 * side, 1), (low, width), (across // 2, 2 * side), (2, low * width)))
