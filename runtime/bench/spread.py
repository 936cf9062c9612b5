"""Repeated measurements of one thing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one thing, in seconds (or, of ratios, without a unit). Quartiles are inclusive."""

    median: float
    min: float
    max: float
    quartile_1: float
    quartile_3: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(statistics.median(values), min(values), max(values), low, high, len(values))
