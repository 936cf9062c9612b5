"""What a plan that is cut must have anew at every length: the sweeps that ask for a single token, as the last one."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import Program
from ..plan.diagonal import Diagonals
from ..plan.stage import Biases, Stage
from ..planning.arranged import stage_of, sweeps
from ..pricing.price import Price
from .ends import diagonals_at, ending


class Anew(NamedTuple):
    """Plans the sweeps of a program that are ``own``, by their numbers."""

    program: Program
    own: frozenset[int]
    price: Price
    dtype: torch.dtype

    def stage(
        self, number: int, longer: Stage | Diagonals | None, n: int, biases: Biases, *, first: bool
    ) -> Stage | Diagonals | None:
        """Of a sweep for n tokens, where its stage for more of them is ``longer``; None where it has no pair."""
        sweep = sweeps(self.program)[number]
        if isinstance(longer, Diagonals):
            end = ending(Pinned(self.program), number)
            if end is not None and n >= end.shortest:
                found = diagonals_at(self.program, sweep, end, longer, n, fresh=first)
                return found if found.each else None
        return stage_of(self.program, sweep, n, n, self.price, biases, first=first)
