"""From a bound pattern to something that runs."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, overload

import torch

from ..compiler.gathering import dear_lists
from ..compiler.idle_choices import forced_choices
from ..compiler.lowering.learned import LearnedProgram, lower_learned, lower_tables
from ..compiler.lowering.runnable import refuse_open
from ..compiler.passes.choices import readable
from ..compiler.passes.program import Program
from ..compiler.relations.settle import opens, pooled
from ..patterns_dsl.syntax import Direction, Expression
from .arguments import pattern_of, seed_of
from .compiled import Compiled
from .engines.engine import Meaning, check_dtype, check_head_dim, choose_engine
from .errors import ArgumentError, CostWarning, EngineError, IdleWarning
from .learned.attention import LearnedAttention
from .selectors.layer import LayerShape

if TYPE_CHECKING:
    from ..compiler.pattern import Pattern


@overload
def compile(
    pattern: Pattern,
    *,
    step: int | None = None,
    head_dim: int = 64,
    dtype: torch.dtype = torch.float32,
    engine: str = "auto",
    device: torch.device | str | None = None,
) -> Compiled: ...


@overload
def compile(
    pattern: Pattern,
    *,
    heads: int,
    kv_heads: int | None = None,
    hidden_size: int | None = None,
    random: int | None = None,
    head_dim: int = 64,
    dtype: torch.dtype = torch.float32,
    engine: str = "auto",
    device: torch.device | str | None = None,
) -> LearnedAttention: ...


def compile(
    pattern: Pattern,
    *,
    step: int | None = None,
    heads: int | None = None,
    kv_heads: int | None = None,
    hidden_size: int | None = None,
    random: int | None = None,
    head_dim: int = 64,
    dtype: torch.dtype = torch.float32,
    engine: str = "auto",
    device: torch.device | str | None = None,
) -> Compiled | LearnedAttention:
    """Attention over the union of the pattern's steps, or over step number ``step`` alone.

    ``head_dim`` and ``dtype`` are those of the tensors it will be called with. ``engine`` is ``reference``,
    ``compose``, ``triton``, or ``auto`` (where ``device`` is a GPU triton, or dense attention itself at lengths at
    which the pattern is everything; else compose, which weighs both). The program is the same for all of them: its tile
    is the compiler's, and the kernels walk a tile in blocks that fit the head dimension, the data type and the device
    (``kernels/launch.py``).

    Seeded tables run beside the program of what is positional, as lists of blocks (``learned/tabled.py``).

    A pattern with learned terms (selections, gates, summaries) is compiled for one layer: ``heads`` of queries,
    ``kv_heads`` of keys (as many if None), hidden states of ``hidden_size`` (heads * head_dim if None). The result is a
    module that holds what the layer learns; with ``random``, a frozen control of that seed. Warns (CostWarning) of
    lists that so few queries share that dense attention would read fewer bytes, and (IdleWarning) of selections
    that choose what is forced alone, and so learn nothing.

    Raises EngineError for an engine that does not exist or cannot run this, ArgumentError for sizes that are missing or
    too many, IndexError for a step that is not there, PatternError for what is decided at run time in a way that
    no engine runs (P403).
    """
    pattern = pattern_of(pattern)
    if not isinstance(head_dim, int) or head_dim < 1:
        raise EngineError(f"head_dim {head_dim} is not a positive integer")
    chosen = choose_engine(engine, device)
    check_dtype(chosen, dtype)
    check_head_dim(chosen, head_dim)
    if heads is not None:
        if step is not None:
            raise ArgumentError(
                "step", f"{step}, with heads", "the steps of a learned pattern run together: leave it out"
            )
        width = heads * head_dim if hidden_size is None else hidden_size
        shape = LayerShape(width, heads, heads if kv_heads is None else kv_heads, head_dim)
        return compile_learned(pattern, shape, chosen, dtype, random).to(device)
    for name, value in (("kv_heads", kv_heads), ("hidden_size", hidden_size), ("random", random)):
        if value is not None:
            raise ArgumentError(name, f"{value}, without heads", "give heads= too, or leave it out")
    or_dense = engine == "auto" and chosen == "triton"
    return _positional(pattern, step, head_dim, dtype, chosen, or_dense=or_dense)


def _positional(
    pattern: Pattern, step: int | None, head_dim: int, dtype: torch.dtype, engine: str, *, or_dense: bool
) -> Compiled:
    bound = pattern.bound
    if step is not None and not (isinstance(step, int) and 0 <= step < len(bound.steps)):
        raise IndexError(f"pattern {bound.name!r} has steps 0..{len(bound.steps) - 1}, not {step!r}")
    expression = bound.union if step is None else bound.steps[step].body
    refuse_open(expression)
    name = bound.name if step is None else f"{bound.name}.{bound.steps[step].name or step}"
    program: Program | LearnedProgram | None = None
    if engine != "reference":
        program = lower_tables(expression, bound.direction, name) or _lower(expression, bound.direction, name)
    return Compiled(name, Meaning(expression, bound.direction), program, engine, head_dim, dtype, or_dense)


def compile_learned(
    pattern: Pattern, shape: LayerShape, engine: str, dtype: torch.dtype | None, random: int | None
) -> LearnedAttention:
    """As ``compile`` for a layer of ``shape``; dtype None: any that the engine computes in."""
    bound, random = pattern.bound, seed_of(random)
    if not opens(bound.union) and not pooled(bound.union):
        remedy = "leave heads= out: its program takes tensors of any number of heads"
        raise ArgumentError("heads", f"{shape.query_heads}, but {bound.name!r} learns nothing", remedy)
    if engine == "reference":
        kinds = {selector.name: selector.kind for selector in bound.selectors}
        readable(bound.union, bound.direction, kinds, tables=True)
        program = None
    else:
        program = lower_learned(bound.union, bound.direction, bound.selectors, bound.name)
    for sentence in dear_lists(bound):
        warnings.warn(f"pattern {bound.name!r}: {sentence}", CostWarning, stacklevel=3)
    for _, sentence in forced_choices(bound):
        warnings.warn(f"pattern {bound.name!r}: {sentence}", IdleWarning, stacklevel=3)
    return LearnedAttention(pattern, program, shape, engine=engine, dtype=dtype, random=random)


@lru_cache(maxsize=256)
def _lower(expression: Expression, direction: Direction, name: str) -> Program:
    # Imported on use: the reference engine must work, and be tested, without the compiler it judges.
    from ..compiler.lowering.stored import stored

    return stored(expression, direction, name)
