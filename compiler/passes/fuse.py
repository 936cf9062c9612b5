"""fuse: terms that share a stationary order share a kernel, where their stationary tiles have as many ranks: tiles with
tiles, and diagonals with diagonals, rows and columns.

Forward (and the gradient of q) keeps query tiles stationary, so terms with one query order form one kernel with one
softmax; the gradients of k and v keep key tiles stationary, so there terms with one key order do. Kernels whose order
covers every token come first: the first kernel then initialises every row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...patterns_dsl.syntax import Direction
from .placement import Placement
from .program import Kernel, Order, Program, Range, Sweep, Term, Tile
from .tile import key_ranges, query_ranges


def fuse(name: str, direction: Direction, placements: Sequence[Placement], tile: Tile) -> Program:
    """The program that computes the placements, disjoint as they are, as a chain of kernels."""
    terms = tuple(Term(p.label, p.line, p.query, p.key, p.turn, p.keep, p.tile) for p in placements)
    return Program(
        name,
        direction is Direction.CAUSAL,
        tile,
        terms,
        forward=_kernels(placements, lambda p: (p.query, p.within(tile).query), lambda p: query_ranges(p, tile)),
        backward=_kernels(placements, lambda p: (p.key, p.within(tile).key), lambda p: key_ranges(p, tile)),
        cross=direction is Direction.CROSS,
    )


def _kernels(
    placements: Sequence[Placement],
    still: Callable[[Placement], tuple[Order, int]],
    ranges: Callable[[Placement], tuple[Range, ...]],
) -> tuple[Kernel, ...]:
    """``still``: the stationary order of a placement, and the ranks of its tile."""
    groups: dict[tuple[Order, int, bool], list[Sweep]] = {}
    for index, placement in enumerate(placements):
        kind = *still(placement), placement.vector
        groups.setdefault(kind, []).append(Sweep(index, ranges(placement)))
    kernels = (Kernel(shared, tuple(sweeps)) for (shared, _, _), sweeps in groups.items())
    return tuple(sorted(kernels, key=lambda kernel: not kernel.order.covers_all))
