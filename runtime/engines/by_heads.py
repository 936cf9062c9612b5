"""Several programs in one call, each for some of the query heads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Generic, TypeVar

from torch import Tensor

from ...compiler.passes.program import Program
from .compose.planning.pairs import PairTable

ProgramT = TypeVar("ProgramT")

ALL = slice(None)

NOBODY = -1
"""The owner of a head that no program runs: its out is 0, its lse -inf, and it has no gradient."""


@dataclass(frozen=True, slots=True)
class ByHeads(Generic[ProgramT]):
    """Query head h runs ``programs[owners[h]]``. As in any call, it reads key head ``h // group``."""

    programs: tuple[ProgramT, ...]
    owners: tuple[int, ...]

    def heads(self, owner: int) -> tuple[int, ...]:
        """The query heads of one program, ascending."""
        return tuple(head for head, found in enumerate(self.owners) if found == owner)

    def mixed(self, group: int) -> bool:
        """Whether two programs share a key head."""
        return any(len(set(self.owners[at : at + group])) > 1 for at in range(0, len(self.owners), group))


def is_cross(program: Program | PairTable | ByHeads[Program]) -> bool:
    """Whether queries and keys are two sequences; those of one call agree in it."""
    return (program.programs[0] if isinstance(program, ByHeads) else program).cross


@dataclass(frozen=True, slots=True)
class Run:
    """Query heads that read their key heads as a call does: x of them one key head, the next x the next. Both are
    slices, so that their tensors are views."""

    query: slice
    key: slice

    def queries(self, x: Tensor) -> Tensor:
        """The slice of a [B, Hq, ...] tensor."""
        return x if self.query == ALL else x[:, self.query]

    def keys(self, x: Tensor) -> Tensor:
        """The slice of a [B, Hkv, ...] tensor."""
        return x if self.key == ALL else x[:, self.key]


ALL_HEADS = Run(ALL, ALL)


@lru_cache(maxsize=256)
def runs(heads: tuple[int, ...], group: int) -> tuple[Run, ...]:
    """The fewest runs, greedily, that make up ascending query heads, each with key head ``h // group``."""
    found: list[Run] = []
    while heads:
        size = next(size for size in range(len(heads), 0, -1) if _is_run(heads[:size], group))
        keys = sorted({head // group for head in heads[:size]})
        found.append(Run(_slice(heads[:size]), _slice(tuple(keys))))
        heads = heads[size:]
    return tuple(found)


def _is_run(heads: tuple[int, ...], group: int) -> bool:
    keys = Counter(head // group for head in heads)
    return len(set(keys.values())) == 1 and _even(heads) and _even(tuple(sorted(keys)))


def _even(values: tuple[int, ...]) -> bool:
    return len({b - a for a, b in pairwise(values)}) <= 1


def _slice(values: tuple[int, ...]) -> slice:
    return slice(values[0], values[-1] + 1, values[1] - values[0] if len(values) > 1 else 1)
