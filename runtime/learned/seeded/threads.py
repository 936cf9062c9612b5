"""Lists that all heads share, some heads on each thread.

Between two kernel calls over lists there are many short operations: of those two threads together save little, where
half of the heads on each save half of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...engines.compose.running import crew
from ...engines.compose.running.pieces import MOST_ELEMENTS, MOST_PYTHON, WORTH_SHARING, Tensors, part
from ..pricing.dispatch import LISTS, Dispatch


def by_heads(found: Dispatch, queries: Tensors, keys: Tensors, run: Callable[[Tensors, Tensors], None]) -> None:
    """``run`` with tensors [B, Hq, ...], of which the first is q, and [B, Hkv, ...]: what it writes of some heads is in
    those, and no list is of some heads alone. ``found``: what is predicted for the lists; as long as nothing is, and
    where they are one attention under a mask, they are not shared out."""
    threads, heads, seconds = crew.size(), keys[0].shape[1], found.lists or 0.0
    if found.way == LISTS and seconds >= WORTH_SHARING and threads > 1 and heads % threads == 0:
        size = _size(heads // threads, queries[0].numel() // heads)
        if heads // size * found.python <= MOST_PYTHON * seconds:
            own = (slice(first, first + size) for first in range(0, heads, size))
            crew.share_out([partial(run, *part(queries, keys, slice(None), some)) for some in own], threads)
            return
    run(queries, keys)


def _size(heads: int, elements: int) -> int:
    """Of the key heads of a thread, each with so many elements of queries: how many at a time, all alike."""
    return max(
        size for size in range(1, heads + 1) if heads % size == 0 and size * elements <= max(elements, MOST_ELEMENTS)
    )
