"""Tokens as combs: runs of neighbours, equally long and evenly spaced, which are a view of a tensor.

What is one comb or two is copied, and added up, faster comb by comb than token by token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.int64]

MOST_COMBS = 2
"""More than these take longer than tokens one by one."""


@dataclass(frozen=True, slots=True)
class Comb:
    """``count`` runs of ``size`` tokens, each ``step`` tokens behind the one before."""

    first: int
    size: int
    count: int
    step: int

    @property
    def evenly(self) -> slice | None:
        """The tokens as a slice; None where some are farther from the next than others."""
        if self.count == 1:
            return slice(self.first, self.first + self.size, 1)
        last = self.first + (self.count - 1) * self.step
        return slice(self.first, last + 1, self.step) if self.size == 1 else None

    def view(self, x: Tensor) -> Tensor:
        """[B, H, count, size, ...] of a tensor [B, H, N, ...]."""
        (batch, head, token), rest = x.stride()[:3], x.stride()[3:]
        shape = (*x.shape[:2], self.count, self.size, *x.shape[3:])
        strides = (batch, head, token * self.step, token, *rest)
        return x.as_strided(shape, strides, x.storage_offset() + token * self.first)


def few_combs(tokens: NDArray[np.int64]) -> tuple[Comb, ...] | None:
    """Ascending tokens as combs; None where these are many, or there is none."""
    if not len(tokens):
        return None
    ends = np.flatnonzero(np.diff(tokens) > 1)
    starts, stops = tokens[np.append(0, ends + 1)], tokens[np.append(ends, len(tokens) - 1)] + 1
    found = list(islice(even_runs(starts, stops), MOST_COMBS + 1))
    if len(found) > MOST_COMBS:
        return None
    return tuple(
        Comb(
            first=int(starts[at]),
            size=int(stops[at] - starts[at]),
            count=count,
            step=int(starts[at + 1] - starts[at]) if count > 1 else 0,
        )
        for at, count in found
    )


def evenly(tokens: NDArray[np.int64]) -> slice | None:
    """Ascending tokens as a slice; None where some are farther from the next than others, or there is none."""
    found = few_combs(tokens) or ()
    return found[0].evenly if len(found) == 1 else None


def even_runs(lo: Numbers, hi: Numbers, *, growing: bool = False) -> Iterator[tuple[int, int]]:
    """(first tile, count) of maximal runs with one width and an even advance, but for those that go back; tiles without
    keys are left out.

    With ``growing`` the start stands still and the width grows evenly instead.
    """
    advance, width = np.diff(lo), np.diff(hi - lo)
    if growing:
        advance, width = np.diff(hi), advance
    # Where a run must end: the width (when growing: the start) changes after tile t; or the advance is not as before.
    new_width = np.flatnonzero(width != 0) + 1
    new_advance = np.flatnonzero(np.diff(advance) != 0) + 2
    used = np.flatnonzero(hi > lo)
    first, total = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    while first < total:
        if growing and hi[first] <= lo[first]:  # what grows from nothing starts where there is something
            first += 1
            continue
        ends = [total]
        for changes, beyond in ((new_width, first), (new_advance, first + 1)):
            at = int(np.searchsorted(changes, beyond, side="right"))
            ends.extend(changes[at : at + 1].tolist())
        stop = min(ends)
        if not growing and stop > first + 1 and advance[first] < 0:  # no view goes back
            stop = first + 1
        if hi[first] > lo[first]:
            yield first, stop - first
        first = stop
