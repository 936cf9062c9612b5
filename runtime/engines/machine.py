"""How fast this machine runs attention: a few rates, measured once and kept on disk.

The time of a batch of dense blocks is a sum of what it asks for (``Effort``) times what that costs here (``Rates``):
linear, and within a fifth of what is measured over shapes from one query to thousands. Rates differ between machines,
numbers of threads, data types and versions of torch; a file that is about another of them is measured anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Vector: TypeAlias = tuple[float, ...]


class Effort(NamedTuple):
    """What running a batch of blocks asks for. ``wide`` counts are multiplied by the head dimension.

    Work that is spread unevenly over threads counts as if all had as much as the busiest.
    """

    batches: float = 0  # of equal blocks: the Python around a kernel call
    launches: float = 0  # kernel calls
    rows: float = 0  # queries, once per block
    wide_rows: float = 0
    keys: float = 0  # once for each group of queries that the kernel takes at a time
    wide_keys: float = 0
    pairs: float = 0  # scores computed
    wide_pairs: float = 0
    masked: float = 0  # scores to which a mask is added
    merged: float = 0  # elements of an output merged with what was there
    copied: float = 0  # elements gathered, copied or added

    def plus(self, other: Effort) -> Effort:
        return Effort(*(x + y for x, y in zip(self, other, strict=True)))


class Rates(NamedTuple):
    """Seconds per unit of each of the fields of ``Effort``."""

    batches: float
    launches: float
    rows: float
    wide_rows: float
    keys: float
    wide_keys: float
    pairs: float
    wide_pairs: float
    masked: float
    merged: float
    copied: float

    def seconds(self, effort: Effort) -> float:
        return sum(x * y for x, y in zip(self, effort, strict=True))


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates forward and backward, of one data type. ``error``: the largest relative error of the fit on its samples."""

    name: str
    threads: int
    forward: Rates
    backward: Rates
    error: float

    def rates(self, *, backward: bool) -> Rates:
        return self.backward if backward else self.forward


_assumed: list[Machine] = []
_known: dict[tuple[str, int], Machine] = {}


def this_machine(dtype: str, threads: int) -> Machine:
    """The rates of a data type (``float32``) with so many threads: assumed, known, kept on disk or measured now.

    Measuring takes a fraction of a second, once; ``probe.py`` says how. A file that cannot be used is ignored with a
    warning (CacheWarning).
    """
    if _assumed:
        return _assumed[-1]
    key = (dtype, threads)
    if key not in _known:
        _known[key] = _kept(dtype, threads)
    return _known[key]


@contextmanager
def assume(machine: Machine) -> Iterator[None]:
    """Within the block, every prediction is made for ``machine``. For tests, and to ask about another machine."""
    _assumed.append(machine)
    try:
        yield
    finally:
        _assumed.remove(machine)


def _kept(dtype: str, threads: int) -> Machine:
    from ..cache import read_record, write_record
    from .probe import PROBE, measure, processor, versions

    subject = {"processor": processor(), "threads": str(threads), "dtype": dtype}
    circumstances = {**versions(), "probe": str(PROBE)}
    name = f"{subject['processor']}, {threads} thread{'s' * (threads > 1)}, {dtype}"
    found = read_record("machine", subject, circumstances)
    if found is not None:
        return _machine(name, threads, found)
    value = measure(dtype)
    write_record("machine", subject, circumstances, value)
    return _machine(name, threads, value)


def _machine(name: str, threads: int, value: Any) -> Machine:
    return Machine(name, threads, Rates(**value["forward"]), Rates(**value["backward"]), value["error"])
