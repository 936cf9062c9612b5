"""From the shares of a plan to what each layer runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ....compiler.lowering.learned import depends_on_length
from ....compiler.pattern import Pattern
from ....compiler.relations.settle import GATE, opens, pooled
from ....patterns_dsl.syntax import BoundPattern
from ...compile import compile as compile_pattern
from ...compile import compile_learned
from ...compiled import Compiled
from ...compiled_heads import CompiledHeads
from ...distributed.context_parallel import context_parallel
from ...engines.engine import choose_engine
from ...errors import PlanError
from ...learned.attention import LearnedAttention
from ...selectors.layer import LayerShape
from ..calls.binding import Binding, LearnedLayer
from ..calls.heads import HeadGroup, Program, cast, join
from ..calls.watching import Watching
from .discovery import Layer
from .entrances import Entrance
from .plan import Share

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

SEEDS = 1_000
"""Between the seeds of two layers' controls: more than a pattern has selectors."""


def learns(shares: tuple[Share, ...]) -> bool:
    """Whether a layer's pattern has learned terms. Raises PlanError for one that is given to a part of the layer."""
    learned = [share.pattern for share in shares if is_learned(share.pattern)]
    for pattern in learned:
        if len(shares) > 1 or shares[0].heads is not None or shares[0].step is not None:
            raise PlanError(
                f"pattern {pattern.name!r} has learned terms and runs in all heads of a layer, its steps together;"
                " leave out `heads`, and write `merged`"
            )
    return bool(learned)


def is_learned(pattern: Pattern) -> bool:
    bound = pattern.bound
    gates = any(each.examples == GATE for each in opens(bound.union))
    return bool(bound.selectors) or gates or pooled(bound.union)


def learned_of(
    layers: tuple[Layer, ...],
    shares: tuple[tuple[Share, ...], ...],
    entrances: Mapping[int, Entrance],
    engine: str,
    random: int | None,
) -> dict[int, LearnedAttention]:
    """New modules, by the number of the layer, in the mode of the attention module that each is for."""
    found = {}
    for layer, mine in zip(layers, shares, strict=True):
        if layer.index in entrances:
            call, entrance = layer.call, entrances[layer.index]
            turns = () if entrance.turn is None else entrance.turn.frequencies
            shape = LayerShape(entrance.width, call.query_heads, call.key_heads, call.head_dim, turns)
            seed = None if random is None else random + SEEDS * layer.index
            one = compile_learned(mine[0].pattern, shape, choose_engine(engine, call.device), None, seed)
            wide = torch.promote_types(call.dtype, torch.float32)
            found[layer.index] = one.to(call.device, wide).train(call.module.training)
    return found


def bindings_of(
    layers: tuple[Layer, ...],
    shares: tuple[tuple[Share, ...], ...],
    entrances: Mapping[int, Entrance],
    own: str,
    engine: str,
    watching: Watching,
    group: ProcessGroup | None = None,
    *,
    zigzag: bool = False,
) -> tuple[Binding, ...]:
    """One for each layer. Compiles each positional (pattern, step) once for each kind of layer that runs it. With a
    ``group`` the tokens of a sequence are divided among its processes."""
    compiled: dict[tuple[BoundPattern, int | None, int, torch.dtype, str], HeadGroup] = {}
    bindings: list[Binding] = []
    for layer, mine in zip(layers, shares, strict=True):
        call, groups = layer.call, []
        first = bool(mine) and not any(binding.groups or binding.learned for binding in bindings)
        if layer.index in entrances:
            bound = mine[0].pattern.bound
            turn = entrances[layer.index].turn
            grows = depends_on_length(bound.union, bound.direction)
            learned = LearnedLayer(layer.index, bound.name, bound.direction, grows, turn)
            bindings.append(Binding(own, learned=learned, first=first, watching=watching))
            continue
        for share in mine:
            key = (share.pattern.bound, share.step, call.head_dim, call.dtype, call.device.type)
            if key not in compiled:
                one = compile_pattern(
                    share.pattern, step=share.step, head_dim=call.head_dim, dtype=call.dtype, engine=engine,
                    device=call.device,
                )  # fmt: skip
                compiled[key] = HeadGroup(None, one, share.pattern.depends_on_length, share.pattern.farthest)
            groups.append(replace(compiled[key], heads=share.heads))
        program: Program | None = join(tuple(groups), call.query_heads) if groups else None
        if group is not None and isinstance(program, Compiled | CompiledHeads):
            program = context_parallel(program, group, zigzag=zigzag)
        casts = {} if program is None else cast(program)
        bindings.append(Binding(own, tuple(groups), program, casts, first=first, watching=watching))
    return tuple(bindings)
