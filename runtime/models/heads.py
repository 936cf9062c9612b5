"""Several programs in one layer: groups of query heads, each with its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..compiled import Compiled


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Query heads that run one program; ``heads`` None: all of the layer. ``depends_on_length`` is the pattern's."""

    heads: tuple[int, ...] | None
    compiled: Compiled
    depends_on_length: bool


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
    groups: tuple[HeadGroup, ...],
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None,
    spans: Tensor | None,
    query_offset: int,
    rest: Callable[[], Tensor],
) -> Tensor:
    """out [B, Nq, Hq, D], as transformers wants it, heads back in their order.

    ``rest()`` gives [B, Nq, Hq, D] by the model's own attention; it is called only when some head has no program.
    """
    parts: list[Tensor] = []
    order: list[int] = []
    for group in groups:
        heads = tuple(range(q.shape[1])) if group.heads is None else group.heads
        chosen = (q, k, v) if len(heads) == q.shape[1] else select_heads(q, k, v, heads)
        compiled = group.compiled.with_dtype(q.dtype)
        out = compiled(*chosen, scale=scale, spans=spans, query_offset=query_offset)
        parts.append(out.transpose(1, 2))
        order.extend(heads)
    missing = sorted(set(range(q.shape[1])) - set(order))
    if missing:
        parts.append(rest()[:, :, missing])
        order.extend(missing)
    joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    if order != sorted(order):
        joined = joined[:, :, sorted(range(len(order)), key=order.__getitem__)]
    return joined.contiguous()
