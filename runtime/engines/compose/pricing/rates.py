"""Rates: how long a machine takes for what an effort counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..plan.effort import Effort


class Rates(NamedTuple):
    """Seconds per unit of each of the fields of ``Effort``."""

    batches: float
    launches: float
    groups: float
    rows: float
    wide_rows: float
    keys: float
    wide_keys: float
    pairs: float
    wide_pairs: float
    masked: float
    left: float
    merged: float
    copied: float
    gathered: float
    steps: float
    wide_steps: float

    def seconds(self, effort: Effort) -> float:
        return sum(x * y for x, y in zip(self, effort, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """Rates of one thread, forward and backward, in one data type. Compared by identity: there are few, and routes are
    looked up by them at every call.

    ``error``: the largest relative error of the fit on its samples.
    """

    name: str
    forward: Rates
    backward: Rates
    error: float

    def rates(self, *, backward: bool) -> Rates:
        return self.backward if backward else self.forward
