"""Up to which density of a selection lists are predicted to be faster than dense attention under a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ....compiler.explain.prediction import BreakEven
from ....compiler.pattern import Pattern
from ....patterns_dsl.syntax import Direction, Selector
from ..running import densely
from .effort import DenseEffort, Extent, seconds
from .speeds import these_speeds


def break_even(pattern: Pattern, n: int, *, heads: int, head_dim: int) -> Iterator[BreakEven]:
    """Of each selector of the pattern, were it alone and read as it is, with as many key heads as query heads, forward,
    in float32, on this machine's CPU. Of a causal pattern it is an estimate: lists of keys then hold such as only some
    of their queries read, and how many depends on what is chosen."""
    causal = pattern.bound.direction is Direction.CAUSAL
    for selector in pattern.bound.selectors:
        yield BreakEven(selector.name, _density(_Kept.of(selector), n, heads, head_dim, causal=causal))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a selection is kept as: lists that ``tile`` queries share (0: all of them), of entries of ``block`` keys,
    for each head or for all of them; ``own``: each query's own key beside them, in lists of their own."""

    tile: int
    block: int
    for_all: bool
    own: bool

    @classmethod
    def of(cls, selector: Selector) -> _Kept:
        options = dict(selector.options)
        block, tile, forced = (options.get(name) for name in ("block", "tile", "forced"))
        if isinstance(block, int):
            return cls(block, block, for_all=False, own=False)
        if isinstance(tile, int):
            return cls(tile, 1, for_all=True, own=isinstance(forced, tuple) and "diagonal" in forced)
        return cls(0, 1, for_all=selector.kind == "importance" or options.get("per") == "layer", own=False)


def _density(kept: _Kept, n: int, heads: int, head_dim: int, *, causal: bool) -> float:
    """Seconds grow by a constant for each key that is read, so that two numbers of keys say all."""
    if heads * n * n > densely.MOST_SCORES:
        return 1.0  # a table of that size is not made
    rates, threads = these_speeds(torch.float32).forward, torch.get_num_threads()
    tables, groups = 1 + kept.own, 1 if kept.for_all else heads
    effort = DenseEffort(tables, tables * groups * n * n, heads * n * n * head_dim)
    dense = seconds(rates.dense, effort.among(threads))
    tiles = -(-n // kept.tile) if kept.tile else 1
    alike = not causal and kept.block > 1  # keys by themselves say from which query on they are read
    lists = Extent(1, heads, heads, head_dim, n, kept.tile, tiles, kept.block, -(-n // kept.block), groups, alike)
    least, whole = (
        seconds(rates.lists, lists.effort(read).among(threads)) for read in (0.0, n / 2 if causal else float(n))
    )
    if kept.own:
        beside = Extent(1, heads, heads, head_dim, n, kept.tile, tiles, 1, kept.tile, 1, alike=False)
        dense -= seconds(rates.lists, beside.effort(float(kept.tile)).among(threads))
    if whole <= least:
        return 1.0 if dense > least else 0.0
    return min(1.0, max(0.0, (dense - least) / (whole - least)))
