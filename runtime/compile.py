"""From a bound pattern to something that runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from ..compiler.passes.program import Program
from ..compiler.runnable import refuse_cross, refuse_open
from ..patterns_dsl.syntax import Direction, Expression
from .compiled import Compiled
from .engines.engine import Meaning, check_dtype, choose_engine
from .errors import EngineError

if TYPE_CHECKING:
    from ..compiler.pattern import Pattern


def compile(
    pattern: Pattern,
    *,
    step: int | None = None,
    head_dim: int = 64,
    dtype: torch.dtype = torch.float32,
    engine: str = "auto",
    device: torch.device | str | None = None,
) -> Compiled:
    """Attention over the union of the pattern's steps, or over step number ``step`` alone.

    ``head_dim`` and ``dtype`` are those of the tensors it will be called with. ``engine`` is ``reference``,
    ``compose``, ``triton``, or ``auto`` (triton where ``device`` is a GPU, else compose). The program is the same for
    all of them: its tile is the compiler's, and the kernels walk a tile in blocks that fit the head dimension, the
    data type and the device (``kernels/launch.py``). Raises EngineError for an engine that does not exist or cannot
    run this, IndexError for a step that is not there, PatternError for a cross pattern (P402) and for what is
    decided at run time (P403).
    """
    bound = pattern.bound
    refuse_cross(bound.union, bound.direction)
    if head_dim < 1:
        raise EngineError(f"head_dim {head_dim} is not positive")
    if step is not None and not 0 <= step < len(bound.steps):
        raise IndexError(f"pattern {bound.name!r} has steps 0..{len(bound.steps) - 1}, not {step}")
    chosen = choose_engine(engine, device)
    check_dtype(chosen, dtype)
    expression = bound.union if step is None else bound.steps[step].body
    refuse_open(expression, tables=chosen == "reference")
    name = bound.name if step is None else f"{bound.name}.{bound.steps[step].name or step}"
    program = None if chosen == "reference" else _lower(expression, bound.direction, name)
    return Compiled(name, Meaning(expression, bound.direction), program, chosen, head_dim, dtype)


@lru_cache(maxsize=256)
def _lower(expression: Expression, direction: Direction, name: str) -> Program:
    # Imported on use: the reference engine must work, and be tested, without the compiler it judges.
    from ..compiler.stored import stored

    return stored(expression, direction, name)
