"""batches: the blocks into which the compose engine cuts a program at one length hold each pair once.

They are wider than any tile, and only a long sequence has them all: so this looks at thousands of tokens, where the
engine itself is tried at hundreds.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from ...compiler import bruteforce
from ...compiler.lower import lower
from ...compiler.passes.program import Program, Term
from ...compiler.pattern import Pattern, Plan
from ...runtime.engines.blocks import Block
from ...runtime.engines.compose import plan
from .program import compilable, tokens, uncompilable
from .property import Example, Violated, bounded, first_difference, places

MOST = 3000
"""Tokens of an example."""

Counts = NDArray[np.int16]


class Batches:
    name = "batches"
    share = 0.2

    def left_out(self, subject: Pattern | Plan) -> str:
        return uncompilable(subject, tables=False)

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[Example]:
        assert isinstance(subject, Pattern)
        return places(subject, fixed, MOST)

    def judge(self, example: Example) -> None:
        direction = example.pattern.direction
        with bounded(), compilable():
            program = lower(example.body, direction, example.pattern.name).program
            wanted = bruteforce.mask(example.body, direction, example.n)
            found = batch_counts(program, example.n)
            if not np.array_equal(found, wanted):
                place = first_difference(found, wanted)
                raise Violated(f"the batches of compose do not hold each pair of the pattern once: {place}")


def batch_counts(program: Program, n: int) -> Counts:
    """[n, n]: how many of the blocks hold each pair."""
    counts = np.zeros((n, n), dtype=np.int16)
    sweeps = (sweep for kernel in program.forward for sweep in kernel.sweeps)
    for sweep, stage in zip(sweeps, plan(program, n), strict=True):
        for block, _ in stage.batches():
            _add(counts, program.terms[sweep.term], block)
    return counts


def _add(counts: Counts, term: Term, block: Block) -> None:
    """Add one for each pair of every class and tile of a batch. Raises Violated for a token that is not there."""
    tiles = block.tiles
    inside = np.ones((tiles.rows, tiles.keys), dtype=np.bool_) if block.mask is None else block.mask
    inside = np.tril(inside) if block.triangle else inside
    for step in range(block.classes):
        for tile in range(tiles.count):
            a = tiles.row + tile * tiles.row_step + np.arange(tiles.rows)
            b = tiles.key + tile * tiles.key_step + np.arange(tiles.keys)
            i, j = tokens(term.query, block.first_class + step, a), tokens(term.key, block.key_class + step, b)
            if max(i[-1], j[-1]) >= len(counts):
                raise Violated(f"a batch of compose reads query {i[-1]} or key {j[-1]} of {len(counts)} tokens")
            counts[np.ix_(i, j)] += inside
