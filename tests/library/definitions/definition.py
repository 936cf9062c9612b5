"""What a definition is: a pattern's index set as its paper has it, written with NumPy and not from the .pat file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Index: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
IndexSet: TypeAlias = Callable[[Index, Index, int], Mask]

LENGTHS = (1, 2, 3, 7, 8, 31, 64, 97, 200)
"""One token, two, multiples of no period, powers of two, and one that is long for the parameters."""


@dataclass(frozen=True, slots=True)
class Definition:
    """``may``: whether query i attends to key j of n, over broadcast indices; of an open pattern, whether it could.

    ``must``: of an open pattern, whether it does whatever is chosen. ``drawn``: (r, block) of the random blocks that
    come on top. ``parameters`` are those that the sets are written for.
    """

    may: IndexSet
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    must: IndexSet | None = None
    drawn: tuple[int, int] | None = None
    lengths: tuple[int, ...] = LENGTHS


def past(i: Index, j: Index) -> Mask:
    return j <= i


def whole(i: Index, j: Index) -> Mask:
    """Every pair, as a mask of its own."""
    return np.ones(np.broadcast_shapes(i.shape, j.shape), dtype=np.bool_)
