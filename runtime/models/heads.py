"""Several programs in one layer: groups of query heads, each with its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..compiled import Compiled, Options


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Query heads that run one program; ``heads`` None: all of the layer. The rest is the pattern's."""

    heads: tuple[int, ...] | None
    compiled: Compiled
    depends_on_length: bool
    farthest: int | None


def select_heads(q: Tensor, k: Tensor, v: Tensor, heads: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """q, k, v for those query heads alone, so that query head x of the result reads key head ``x // group``.

    Where the heads use each of their key heads equally often, in order, keys stay shared; otherwise each query head
    gets its key head by itself.
    """
    size = q.shape[1] // k.shape[1]
    sources = [head // size for head in heads]
    counts = Counter(sources)
    if len(set(counts.values())) == 1 and sources == sorted(sources):
        sources = sorted(counts)
    return _take(q, heads), _take(k, sources), _take(v, sources)


def _take(x: Tensor, indices: list[int] | tuple[int, ...]) -> Tensor:
    steps = {b - a for a, b in pairwise(indices)}
    if len(steps) <= 1 and (step := next(iter(steps), 1)) > 0:
        return x[:, indices[0] : indices[-1] + 1 : step]  # a view: nothing is copied
    return x[:, list(indices)]


def run_groups(
    groups: tuple[HeadGroup, ...], q: Tensor, k: Tensor, v: Tensor, options: Options, rest: Callable[[], Tensor]
) -> Tensor:
    """out [B, Nq, Hq, D], as transformers wants it, heads back in their order. ``options`` are of all heads.

    ``rest()`` gives [B, Nq, Hq, D] by the model's own attention; it is called only when some head has no program.
    """
    parts: list[Tensor] = []
    order: list[int] = []
    sinks = options.get("sinks")
    for group in groups:
        heads = tuple(range(q.shape[1])) if group.heads is None else group.heads
        chosen = (q, k, v) if len(heads) == q.shape[1] else select_heads(q, k, v, heads)
        own: Options = {**options, "sinks": None if sinks is None else sinks[list(heads)]}
        parts.append(_fold(group.compiled.with_dtype(q.dtype), *chosen, own))
        order.extend(heads)
    missing = sorted(set(range(q.shape[1])) - set(order))
    if missing:
        parts.append(rest()[:, :, missing])
        order.extend(missing)
    joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    if order != sorted(order):
        joined = joined[:, :, sorted(range(len(order)), key=order.__getitem__)]
    return joined.contiguous()


def _fold(compiled: Compiled, q: Tensor, k: Tensor, v: Tensor, options: Options) -> Tensor:
    """out [B, Nq, Hq, D]; rows of packed documents are laid behind each other and called as one."""
    if options.get("documents") is None or q.shape[0] == 1:
        return compiled(q, k, v, **options).transpose(1, 2)
    batch, heads, rows = q.shape[:3]
    one = (x.transpose(0, 1).flatten(1, 2)[None] for x in (q, k, v))
    return compiled(*one, **options).view(heads, batch, rows, -1).permute(1, 2, 0, 3)
