"""Diagonals: each query with the one key at a distance."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

ELEMENTS = 1 << 18
"""Of the queries that are taken at a time: what is computed of them stays in a core's own cache."""


def chunking(rows: int, group: int, dim: int) -> tuple[int, int]:
    """(key heads, rows) that are taken at a time."""
    row = group * dim
    return max(1, ELEMENTS // max(1, rows * row)), max(1, ELEMENTS // row)


@dataclass(frozen=True, slots=True, eq=False)
class Diagonal:
    """Queries start..stop-1, each with the key at ``offset`` from it; of these, where there is one, those of ``mask``,
    bool [stop - start]. With a ``period`` the mask comes again after so many queries, and is held for one period, or
    for several."""

    offset: int
    start: int
    stop: int
    mask: Tensor | None
    period: int = 0

    def cut(self, n: int, nk: int) -> Diagonal:
        """What of it lies among the first n queries and nk keys."""
        stop = max(self.start, min(self.stop, n, nk - self.offset))
        mask = self.mask if self.mask is None or self.period else self.mask[: stop - self.start]
        return replace(self, stop=stop, mask=mask)

    def within(self, first: int, last: int) -> tuple[slice, slice, Tensor | None]:
        """Of the queries first..last-1: which have a key, counted from ``first``; which keys; the mask of them."""
        start, stop = max(self.start, first), min(self.stop, last)
        stop = max(start, stop)
        mask = None if self.mask is None else self._mask(self.mask, start - self.start, stop - start)
        return slice(start - first, stop - first), slice(start + self.offset, stop + self.offset), mask

    def _mask(self, mask: Tensor, first: int, count: int) -> Tensor:
        if self.period:
            first %= self.period
            if first + count > len(mask):
                mask = mask.repeat(-(-(first + count) // len(mask)))
        return mask[first : first + count]


@dataclass(frozen=True, slots=True)
class Diagonals:
    """Some of the pairs of ``rows`` queries. ``fresh``: nothing earlier touches the queries, whose output it writes."""

    each: tuple[Diagonal, ...]
    rows: int
    fresh: bool

    def cut(self, n: int) -> Diagonals:
        """What of it lies among the first n queries, and as many keys."""
        cut = (one.cut(n, n) for one in self.each)
        return Diagonals(tuple(one for one in cut if one.stop > one.start), n, self.fresh)
