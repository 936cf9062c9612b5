"""Rates that are measured once on a machine and kept on disk: assumed for a while, known, read, or measured now.

A machine on which much else ran shares its caches and its memory, and is slower than by itself. What was measured then
is used, and measured again by the next process that finds the machine calm.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .cache import CacheWarning, read_record, record_path, write_record

RatesT = TypeVar("RatesT")
Circumstances = dict[str, str]

MOST_ERROR = 1.0
"""Rates that explain their own samples worse than this are not kept."""

BUSY = 0.25
"""Other processes that want to run, for each processor: from here on a machine is not calm."""


class MachineWarning(UserWarning):
    """The machine could not be measured well: what is predicted, and so what is chosen, is rough."""


@dataclass(slots=True, eq=False)
class Measured(Generic[RatesT]):
    """Rates by data type (``float32``).

    ``kind``: of the record, one word. ``about`` gives what the record is about, by data type, and what it depends on.
    ``measure`` gives plain data with an ``error``, the largest of the fit; ``read`` makes rates of it, or raises
    LookupError, TypeError or ValueError (``rate``). ``remark``: of rates that were measured badly, with the error as
    {error}.
    """

    kind: str
    about: Callable[[str], tuple[Circumstances, Circumstances]]
    measure: Callable[[str], dict[str, Any]]
    read: Callable[[str, dict[str, Any]], RatesT]
    remark: str
    known: dict[str, RatesT] = field(default_factory=dict)
    assumed: list[RatesT] = field(default_factory=list)

    def of(self, dtype: str) -> RatesT:
        """A file that cannot be used is ignored with a warning (CacheWarning), rates that were measured badly are used
        with one (MachineWarning)."""
        if self.assumed:
            return self.assumed[-1]
        if dtype not in self.known:
            self.known[dtype] = self._find(dtype)
        return self.known[dtype]

    @contextmanager
    def assume(self, rates: RatesT) -> Iterator[None]:
        """Within the block, everything is predicted with these rates. For tests, and to ask about another machine."""
        self.assumed.append(rates)
        try:
            yield
        finally:
            self.assumed.remove(rates)

    def _find(self, dtype: str) -> RatesT:
        subject, circumstances = self.about(dtype)
        name, load = f"{subject['processor']}, {dtype}", others()
        kept = self._kept(name, subject, circumstances)
        if kept is not None and not kept[1] >= BUSY > load:
            return kept[0]
        value = self.measure(dtype) | {"load": load}
        if value["error"] <= MOST_ERROR:
            write_record(self.kind, subject, circumstances, value)
        else:
            warnings.warn(self.remark.format(error=f"{value['error']:.0%}"), MachineWarning, stacklevel=4)
        return self.read(name, value)

    def _kept(self, name: str, subject: Circumstances, circumstances: Circumstances) -> tuple[RatesT, float] | None:
        """The rates on disk, and the load under which they were measured."""
        value = read_record(self.kind, subject, circumstances)
        if value is None:
            return None
        try:
            return self.read(name, value), rate(value["load"])
        except (LookupError, TypeError, ValueError) as error:
            path, found = record_path(self.kind, subject), f"{type(error).__name__}: {error}"
            warnings.warn(f"{path} is ignored: it holds no rates ({found})", CacheWarning, stacklevel=5)
            return None


def rate(value: object) -> float:
    """Seconds of something, or another number from 0 on. Raises TypeError or ValueError where it is none."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    if not 0 <= value < math.inf:
        raise ValueError(f"{value} is not a finite number from 0 on")
    return float(value)


def others() -> float:
    """How many other processes wanted to run in the last minute, for each processor."""
    if not hasattr(os, "getloadavg"):
        return 0.0
    return max(0.0, os.getloadavg()[0] - 1) / (os.cpu_count() or 1)
