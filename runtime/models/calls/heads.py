"""Several programs in one layer: groups of query heads, each with its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ...compiled import Compiled, Options
from ...compiled_heads import CompiledHeads, join_heads
from ...distributed.context_parallel import ContextParallel
from ...engines.by_heads import NOBODY
from ...errors import EngineError

Program: TypeAlias = Compiled | CompiledHeads | ContextParallel


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Query heads that run one program; ``heads`` None: all of the layer. The rest is the pattern's."""

    heads: tuple[int, ...] | None
    compiled: Compiled
    depends_on_length: bool
    farthest: int | None


def join(groups: tuple[HeadGroup, ...], heads: int) -> Compiled | CompiledHeads:
    """The groups of a layer with so many query heads as one call."""
    [first, *others] = groups
    if not others and (first.heads is None or len(first.heads) == heads):
        return first.compiled
    return join_heads([(group.heads or range(heads), group.compiled) for group in groups], heads)


def cast(program: Program) -> dict[torch.dtype, Program]:
    """The program for each data type that autocast, or a conversion of the model, may bring: made before torch.compile
    looks, which up to torch 2.11 cannot trace how one is made of the other."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with suppress(EngineError):  # it has its word where such a call is made
            found[dtype] = program.with_dtype(dtype)
    return found


def run_heads(
    program: Program, q: Tensor, k: Tensor, v: Tensor, options: Options, rest: Callable[[], Tensor]
) -> Tensor:
    """out [B, Nq, Hq, D], as transformers wants it; ``program`` is of the data type of q, k and v.

    ``rest()`` gives [B, Nq, Hq, D] by the model's own attention; it is called only when some head has no program.
    """
    out = _fold(program, q, k, v, options)
    if isinstance(program, CompiledHeads) and NOBODY in program.owners:
        own = torch.tensor([owner == NOBODY for owner in program.owners], device=out.device)
        out = torch.where(own[:, None], rest(), out)
    return out.contiguous()


def _fold(program: Program, q: Tensor, k: Tensor, v: Tensor, options: Options) -> Tensor:
    """out [B, Nq, Hq, D]; rows of packed documents are laid behind each other and called as one."""
    if options.get("documents") is None or q.shape[0] == 1:
        return program(q, k, v, **options).transpose(1, 2)
    batch, heads, rows = q.shape[:3]
    one = (x.transpose(0, 1).flatten(1, 2)[None] for x in (q, k, v))
    return program(*one, **options).view(heads, batch, rows, -1).permute(1, 2, 0, 3)
