"""Up to which density of a selection lists are predicted to be faster than dense attention under a mask."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...compiler.explain.prediction import BreakEven
from ...compiler.pattern import Pattern
from ...patterns_dsl.syntax import Direction, Selector
from . import densely
from .effort import DenseEffort, Extent, seconds
from .speeds import these_speeds


def break_even(pattern: Pattern, n: int, *, heads: int, head_dim: int) -> Iterator[BreakEven]:
    """Of each selector of the pattern, were it alone, forward, in float32, on this machine's CPU."""
    for selector in pattern.bound.selectors:
        tile, block = _blocking(selector)
        causal = pattern.bound.direction is Direction.CAUSAL
        yield BreakEven(selector.name, _density(n, tile, block, heads, head_dim, causal=causal))


def _blocking(selector: Selector) -> tuple[int, int]:
    """(queries that share a list, 0: all of them; keys of an entry)."""
    options = dict(selector.options)
    block, tile = options.get("block"), options.get("tile")
    if isinstance(block, int):
        return block, block
    return (tile, 1) if isinstance(tile, int) else (0, 1)


def _density(n: int, tile: int, block: int, heads: int, head_dim: int, *, causal: bool) -> float:
    """Seconds grow by a constant for each key that is read, so that two numbers of keys say all."""
    if heads * n * n > densely.MOST_SCORES:
        return 1.0  # a table of that size is not made
    extent = Extent(1, heads, heads, head_dim, n, tile, -(-n // tile) if tile else 1, block, -(-n // block), heads)
    rates, threads = these_speeds(torch.float32).forward, torch.get_num_threads()
    dense = seconds(rates.dense, DenseEffort(1, heads * n * n, heads * n * n * head_dim).among(threads))
    least, whole = (
        seconds(rates.lists, extent.effort(read).among(threads)) for read in (0.0, n / 2 if causal else float(n))
    )
    if whole <= least:
        return 1.0 if dense > least else 0.0
    return min(1.0, max(0.0, (dense - least) / (whole - least)))
