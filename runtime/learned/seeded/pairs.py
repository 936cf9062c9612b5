"""A pattern with seeded tables as one table of all its pairs, which compose runs as strips.

At short lengths most keys are in reach of something, and one attention under a mask is faster than a program and lists.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from ....compiler.lowering.learned import LearnedProgram
from ....compiler.passes.pinned import Pinned
from ....compiler.passes.separate import Selected
from ....compiler.relations.integer import evaluate, length_values, variables
from ....patterns_dsl.syntax import Direction, Drawn
from ...engines.compose.lengths.trim import keeps_to_prefixes
from ...engines.compose.plan.tiles import Mask
from ...engines.compose.planning.pairs import PairTable, pairs_of
from .drawn import draw

_AT_ONCE = 1 << 20
"""Pairs that are looked at together."""


@lru_cache(maxsize=64)
def table_of(pinned: Pinned[LearnedProgram]) -> PairTable:
    """Of a pattern that learns nothing."""
    program = pinned.program
    positional, tables = program.positional, program.parts.selected
    # A causal table draws among the blocks behind, whatever follows; another among all.
    steady = program.parts.direction is Direction.CAUSAL and (positional is None or keeps_to_prefixes(positional))
    steady = steady and not any("n" in variables(each.within) for each in tables)
    orders = () if positional is None else tuple(dict.fromkeys(term.query for term in positional.terms))
    cross = program.parts.direction is Direction.CROSS
    return PairTable(partial(_pairs, program), orders, cross, steady)


def _pairs(program: LearnedProgram, n: int, nk: int) -> Mask:
    """bool [n, nk]."""
    found = np.zeros((n, nk), dtype=np.bool_) if program.positional is None else pairs_of(program.positional, n, nk)
    for selected in program.parts.selected:
        _add(found, selected, causal=program.parts.direction is Direction.CAUSAL)
    return found


def _add(found: Mask, selected: Selected, *, causal: bool) -> None:
    """The pairs of a table that no other part has, and of those that one has some."""
    table, (n, nk) = selected.source, found.shape
    assert isinstance(table, Drawn)  # a selection is refused before
    size, within = table.block, np.arange(table.block)
    total = -(-nk // size)
    drawn = draw(table.count, table.seed, 0, -(-n // size), torch.tensor([total]), total, causal=causal)[0].numpy()
    step = max(1, _AT_ONCE // max(1, size * size * drawn.shape[1]))
    for first in range(0, len(drawn), step):
        blocks = drawn[first : first + step]
        # [query blocks, key blocks, queries, keys]
        i = ((first + np.arange(len(blocks)))[:, None] * size + within)[:, None, :, None]
        j = (blocks[:, :, None] * size + within)[:, :, None]
        kept: NDArray[np.bool_] = (j >= 0) & (i < n) & (j < nk) & (j <= i if causal else True)
        kept = kept & evaluate(selected.within, {"i": i, "j": j, **length_values(n, nk)}, np)
        rows, columns = (np.broadcast_to(x, kept.shape)[kept] for x in (i, j))
        found[rows, columns] = True
