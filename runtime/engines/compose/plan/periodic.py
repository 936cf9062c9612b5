"""After how many tokens a plan may come again."""

from __future__ import annotations

from dataclasses import dataclass

from .....compiler.passes.program import Order

BESIDE = 3
"""Periods, of which ends of tiles may be farther from their token than constants of comparisons are from theirs."""

ROOM = 2
"""Periods, by which tiles near an end of a plan may be farther from it than anything that is said there."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """``tokens``: after so many everything comes again. ``beside``: of so many periods from either end something may
    be said that is not said elsewhere; and of ranks that are no farther apart."""

    tokens: int
    beside: int

    def first(self, n: int, shortest: int) -> int:
        """The shortest length, longer than ``shortest``, of which a middle part is repeated at n."""
        periods = max(3 * (self.beside + ROOM + BESIDE), shortest // self.tokens + 1)
        return periods * self.tokens + n % self.tokens

    def near(self, n: int) -> int:
        """Of so many periods from either end of n tokens tiles may begin or end."""
        return n // self.tokens // 3 - BESIDE

    def ranks(self, order: Order) -> int:
        """Of each class of an order in a period."""
        return self.tokens // order.period * order.count
