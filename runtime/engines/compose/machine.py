"""How fast this machine runs attention: a few rates, measured once and kept on disk.

The time of a batch of dense blocks, or of diagonals, is a sum of what it asks of the busiest thread (``Effort``) times
what that costs here (``Rates``): linear, and within a third of what is measured over shapes from one query to many.
Rates differ between processors, data types and versions of torch; a file that is about another of them is measured
anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...measured import Measured, rate


class Effort(NamedTuple):
    """What a batch of blocks asks of the busiest thread. ``wide`` counts are multiplied by the head dimension."""

    batches: float = 0  # of equal blocks: the Python around a kernel call
    launches: float = 0  # kernel calls
    groups: float = 0  # of queries that the kernel takes at a time, once for each 512 keys
    rows: float = 0  # queries, once per block
    wide_rows: float = 0
    keys: float = 0  # once for each group of queries that the kernel takes at a time
    wide_keys: float = 0
    pairs: float = 0  # scores computed
    wide_pairs: float = 0
    masked: float = 0  # scores to which a mask is added
    left: float = 0  # scores that are taken one by one
    merged: float = 0  # elements of an output merged with what was there
    copied: float = 0  # elements copied or added
    gathered: float = 0  # elements taken out of their order, or put back
    steps: float = 0  # diagonals, once for each group of queries that is taken at a time: the Python around them
    wide_steps: float = 0  # their elements

    @classmethod
    def total(cls, efforts: Iterable[Effort]) -> Effort:
        return cls(*map(sum, zip(cls(), *efforts, strict=True)))


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


def this_machine(dtype: str) -> Machine:
    """The rates of a data type (``float32``): assumed, known, kept on disk or measured now.

    Measuring takes a fraction of a second, once; ``probe.py`` says how.
    """
    return MEASURED.of(dtype)


def _about(dtype: str) -> tuple[dict[str, str], dict[str, str]]:
    from .probe import PROBE, processor, versions

    return {"processor": processor(), "dtype": dtype}, {**versions(), "probe": str(PROBE)}


def _measure(dtype: str) -> dict[str, Any]:
    from . import probe

    return probe.measure(dtype)


def _read(name: str, value: dict[str, Any]) -> Machine:
    forward, backward = (Rates(*(rate(value[way][of]) for of in Rates._fields)) for way in ("forward", "backward"))
    return Machine(name, forward, backward, rate(value["error"]))


MEASURED = Measured(
    "machine", _about, _measure, _read, "the probe of this machine is off by up to {error}; it will be measured again"
)
assume = MEASURED.assume
