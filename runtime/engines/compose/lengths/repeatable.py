"""From which shorter lengths the plan of a program may be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import Program
from ..plan.periodic import Periodic
from .periodic import of_large_tiles, periodic

LONGER = 4
"""What is planned for long sequences is more often as in longer ones: a plan of so many times the tokens that are
asked for is looked at first."""

MOST_FAILED = 3
"""So many more plans that do not come again than plans that do, and no others are made."""


class Way(NamedTuple):
    """Periods that are put in, and tokens that a plan must have, at least."""

    periodic: Periodic
    shortest: int


class Repeatable:
    """Of one program the ways that are left, and for which lengths each was found to fail."""

    def __init__(self, ways: tuple[Way, ...]) -> None:
        self._failed: dict[Way, set[int]] = {way: set() for way in ways}
        self._repeated: dict[Way, set[int]] = {way: set() for way in ways}

    def shorter(self, n: int) -> Iterator[tuple[Way, int]]:
        """The lengths whose plans may be repeated for n tokens, the best first."""
        for way, failed in self._failed.items():
            first = way.periodic.first(n, way.shortest)
            left = len(failed) < MOST_FAILED + len(self._repeated[way])
            if first < n and first not in failed and (left or first in self._repeated[way]):
                yield way, first

    def note(self, way: Way, first: int, *, repeated: bool) -> None:
        """Whether the plan for a length came again in a longer one."""
        (self._repeated if repeated else self._failed)[way].add(first)


@lru_cache(maxsize=256)
def repeatable(pinned: Pinned[Program], shortest: int) -> Repeatable:
    """Of plans for more than so many tokens."""
    known = periodic(pinned)
    every = () if known is None else (known, of_large_tiles(known, pinned.program))
    ways = (Way(each, at) for at in (LONGER * shortest, shortest) for each in every if each is not None)
    return Repeatable(tuple(dict.fromkeys(ways)))
