"""Lists that all heads share, some heads on each thread.

Between two kernel calls over lists there are many short operations: of those two threads together save little, where
half of the heads on each save half of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor

from ..engines.compose.running import crew
from ..engines.compose.running.pieces import MOST_ELEMENTS, MOST_PYTHON, WORTH_SHARING
from .dispatch import LISTS, predicted
from .softmax import Parts

Tensors: TypeAlias = tuple[Tensor, ...]


def by_heads(
    parts: Parts, queries: Tensors, keys: Tensors, run: Callable[[Tensors, Tensors], None], *, backward: bool = False
) -> None:
    """``run`` with tensors [B, Hq, ...], of which the first is q, and [B, Hkv, ...], of which the first is k: what it
    writes of some heads is in those. No list of ``parts`` is of some heads alone."""
    (q, *_), (k, *_) = queries, keys
    threads, heads = crew.size(), k.shape[1]
    if parts.engine == "compose" and threads > 1 and heads % threads == 0:
        found = predicted(parts.lists, q, k, parts.scores, backward=backward)
        assert found.lists is not None
        size, group = _size(heads // threads, q.numel() // heads), q.shape[1] // heads
        worth = found.way == LISTS and found.lists >= WORTH_SHARING  # one attention under a mask is one kernel call
        if worth and heads // size * found.python <= MOST_PYTHON * found.lists:
            crew.share_out(
                [partial(run, *_some(queries, keys, at, size, group)) for at in range(0, heads, size)], threads
            )
            return
    run(queries, keys)


def _size(heads: int, elements: int) -> int:
    """Of the key heads of a thread, each with so many elements of queries: how many at a time, all alike."""
    return max(
        size for size in range(1, heads + 1) if heads % size == 0 and size * elements <= max(elements, MOST_ELEMENTS)
    )


def _some(queries: Tensors, keys: Tensors, first: int, size: int, group: int) -> tuple[Tensors, Tensors]:
    """The part of ``size`` key heads, and of the query heads that read them."""
    read_by, own = slice(first * group, (first + size) * group), slice(first, first + size)
    return tuple(x[:, read_by] for x in queries), tuple(x[:, own] for x in keys)
