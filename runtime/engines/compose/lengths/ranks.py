"""Which ranks of a place have a token at a length.

Of most orders the first ones have. In the last period of a tiled order some have none, and others behind them do: there
is room for all of them, and what these would be is left out (``missing.py``).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from ..plan.place import Gathered, Place, Side, offsets
from ..plan.stage import Stage
from ..plan.tiles import Mask

_MANY = 1 << 62


def place_at(place: Place, n: int) -> Place:
    """The place in the first n tokens."""
    if isinstance(place, Side):
        return Side(place.order, n)
    return Gathered(place.index[: int(torch.searchsorted(place.index, n))])


def is_roomy(stage: Stage, n: int) -> bool:
    """Whether some of its ranks have no token."""
    return Ranks(stage.query, n).roomy or Ranks(stage.key, n).roomy


class Ranks:
    """The ranks of each class of a place, for n tokens."""

    def __init__(self, place: Place, n: int) -> None:
        self._place, self._n = place, n

    def of(self, cls: int) -> int:
        """How many there are, or there is room for."""
        return len(self._place.index) if isinstance(self._place, Gathered) else self._place.order.ranks(cls, self._n)

    def whole(self, cls: int) -> int:
        """How many of the first ones all have a token."""
        return len(self._place.index) if isinstance(self._place, Gathered) else self._place.order.whole(cls, self._n)

    def alike(self, cls: int) -> int:
        """How many classes from this one on have as many."""
        return _MANY if isinstance(self._place, Gathered) else self._place.order.alike(cls, self._n)

    @cached_property
    def roomy(self) -> bool:
        """Whether some have no token: those of a tiled order, which has one class."""
        return isinstance(self._place, Side) and self._place.order.tiled and self.of(0) > self.whole(0)

    @cached_property
    def _missing(self) -> Mask:
        """Whether each rank of a place with room has no token: memory that is not touched but for the last ones."""
        assert isinstance(self._place, Side)
        order, whole, found = self._place.order, self.whole(0), np.zeros(self.of(0), dtype=np.bool_)
        np.greater_equal(offsets(order), self._n - whole // order.count * order.period, out=found[whole:])
        return found

    def there(self, first: int, size: int, step: int, count: int) -> Mask:
        """bool [count, size]: whether ranks first + t*step .. + size have a token, of those that there is room for."""
        if not self.roomy:
            return np.ones((count, size), dtype=np.bool_)
        return ~np.ndarray((count, size), np.bool_, self._missing, first, (step, 1))
