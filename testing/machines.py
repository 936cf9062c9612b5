"""Machines that are written down rather than measured: with them, what is predicted and chosen is always the same."""

from __future__ import annotations

from ..runtime.engines.compose.pricing.rates import Machine, Rates
from ..runtime.learned.pricing.effort import DenseEffort, ListEffort, ListRates, Speeds

_FORWARD = Rates(
    batches=25e-6, launches=20e-6, groups=1e-6, rows=20e-9, wide_rows=0.5e-9, keys=5e-9, wide_keys=0.1e-9, pairs=0.1e-9,
    wide_pairs=25e-12, masked=0.1e-9, left=4e-9, merged=0.6e-9, copied=0.4e-9,
    gathered=0.4e-9, steps=15e-6, wide_steps=0.5e-9,
)  # fmt: skip
_BACKWARD = Rates(
    batches=50e-6, launches=50e-6, groups=2e-6, rows=25e-9, wide_rows=1e-9, keys=10e-9, wide_keys=0.5e-9, pairs=0.2e-9,
    wide_pairs=60e-12, masked=0.1e-9, left=0.0, merged=0.0, copied=0.5e-9,
    gathered=0.5e-9, steps=50e-6, wide_steps=1.5e-9,
)  # fmt: skip

PLAIN = Machine("a machine of round numbers", _FORWARD, _BACKWARD, 0.0)
"""Like a server core or two of 2023."""

SLOW_TO_LAUNCH = Machine(
    "one on which a kernel call takes a second",
    _FORWARD._replace(launches=1.0),
    _BACKWARD._replace(launches=1.0),
    0.0,
)

SLOW_TO_MULTIPLY = Machine(
    "one on which a score takes a second", _FORWARD._replace(pairs=1.0), _BACKWARD._replace(pairs=1.0), 0.0
)
"""It takes the route of the fewest scores."""

_LISTS = ListRates(
    ListEffort(lists=800e-6, scores=7e-9, wide_scores=70e-12, wide_keys=7e-9),
    DenseEffort(lists=500e-6, table=5e-9, wide_scores=50e-12),
)

PLAIN_SPEEDS = Speeds("lists and dense attention at a pace of round numbers", _LISTS, _LISTS, 0.0)


def _speeds(lists: float, dense: float) -> Speeds:
    rates = ListRates(ListEffort(lists=lists), DenseEffort(lists=dense))
    return Speeds(f"a list takes {lists} seconds, densely {dense}", rates, rates, 0.0)


QUICK_LISTS, QUICK_DENSE = _speeds(0.0, 1.0), _speeds(1.0, 0.0)
"""They always read lists as lists, and never where there is another way."""

SLOW_LISTS = _speeds(1.0, 1.0)
"""A pattern with seeded tables runs as one table of its pairs, where it can."""
