"""The diagonals of a term."""

from __future__ import annotations

import numpy as np
import torch

from .....compiler.passes.program import Program, Sweep
from ..plan.diagonal import Diagonal
from .distances import LONGEST_MASK, Run, runs_of


def diagonals(program: Program, sweep: Sweep, n: int, nk: int) -> tuple[Diagonal, ...]:
    """Of a sweep, for n queries and nk keys."""
    return tuple(diagonal(offset, run) for offset, run in runs_of(program, sweep, n, nk))


def diagonal(offset: int, run: Run) -> Diagonal:
    mask = run.mask
    if mask is not None and run.period:
        mask = np.tile(mask[: run.period], -(-LONGEST_MASK // run.period))
    return Diagonal(offset, run.start, run.stop, None if mask is None else torch.from_numpy(mask), run.period)
