"""The pairs of a program at one length, as a table: what its ranges and masks say, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.count import bounds, tile_count
from .....compiler.passes.program import Order, Program, Sweep
from .....compiler.relations.integer import evaluate, length_values
from ..plan.tiles import Mask
from .diagonals import diagonals

Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PairTable:
    """What is no program, and says its pairs at a length: ``pairs(n, nk)`` is bool [n, nk]. It runs as strips.

    ``orders``: of queries, in which strips may be cut too. ``any_length``: the pairs at n are those at any longer
    length between the first n tokens.
    """

    pairs: Callable[[int, int], Mask]
    orders: tuple[Order, ...]
    cross: bool
    any_length: bool


def pairs_of(program: Program | PairTable, n: int, nk: int) -> Mask:
    """bool [n, nk]: which key (column) each query (row) attends to."""
    if isinstance(program, PairTable):
        return program.pairs(n, nk)
    table = np.zeros((n, nk), dtype=np.bool_)
    for kernel in program.forward:
        for sweep in kernel.sweeps:
            for cls in range(program.terms[sweep.term].query.classes):
                _fill(table, program, sweep, cls)
    return table


def _fill(table: Mask, program: Program, sweep: Sweep, cls: int) -> None:
    """Add the pairs of one query class."""
    term, (n, nk) = program.terms[sweep.term], table.shape
    if sweep.diagonal:
        for one in diagonals(program, sweep, n, nk):
            queries = np.arange(one.start, one.stop)
            _, _, mask = one.within(one.start, one.stop)
            rows = queries if mask is None else queries[mask.numpy()]
            table[rows, rows + one.offset] = True
        return
    key_class = term.key_class(cls)
    queries, keys = _tokens(term.query, cls, n), _tokens(term.key, key_class, nk)
    for a, b, masked in _rectangles(program, sweep, cls, n, nk):
        # In a tiled order some ranks of the last period have no token.
        query_ranks, key_ranks = (
            np.arange(len(every))[part][every[part] < end] for every, part, end in ((queries, a, n), (keys, b, nk))
        )
        rows, columns = queries[query_ranks], keys[key_ranks]
        if not masked:
            table[_index(rows, columns)] = True
            continue
        ranks = query_ranks[:, None], key_ranks[None, :]
        kept = evaluate(term.keep, {"a": ranks[0], "b": ranks[1], "c": cls, **length_values(n, nk)}, np)
        table[_index(rows, columns)] |= np.broadcast_to(kept, (len(rows), len(columns)))


def _rectangles(program: Program, sweep: Sweep, cls: int, n: int, nk: int) -> Iterator[tuple[slice, slice, bool]]:
    """Ranks of queries and of keys, and whether the mask decides."""
    term, tile = program.terms[sweep.term], program.tile_of(sweep)
    tiles = tile_count(term.query, cls, n, tile.query)
    key_tiles = tile_count(term.key, term.key_class(cls), nk, tile.key)
    for span in sweep.ranges:
        for starts, stops in bounds(span, tiles, cls, key_tiles, n, "I", nk).values():
            for at in np.flatnonzero(starts < stops).tolist():
                keys = slice(int(starts[at]) * tile.key, int(stops[at]) * tile.key)
                yield slice(at * tile.query, (at + 1) * tile.query), keys, span.masked


def _tokens(order: Order, cls: int, n: int) -> Tokens:
    """The tokens of a class, by rank."""
    return order.token(cls, np.arange(order.ranks(cls, n), dtype=np.int64))


def _index(rows: Tokens, columns: Tokens) -> tuple[slice, slice] | tuple[Tokens, ...]:
    """The rectangle of a table; as slices where both are evenly spaced, which is faster."""
    one, two = _even(rows), _even(columns)
    return (one, two) if one is not None and two is not None else np.ix_(rows, columns)


def _even(tokens: Tokens) -> slice | None:
    if len(tokens) < 2:
        return slice(int(tokens[0]), int(tokens[0]) + 1) if len(tokens) else slice(0, 0)
    step = int(tokens[1] - tokens[0])
    return slice(int(tokens[0]), int(tokens[-1]) + 1, step) if (np.diff(tokens) == step).all() else None
