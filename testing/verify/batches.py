"""batches: the blocks and diagonals into which the compose engine cuts a program at one length hold each pair once, on
every route.

They are wider than any tile, and only a long sequence has them all: so this looks at thousands of tokens, where the
engine itself is tried at hundreds.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from ...compiler import bruteforce
from ...compiler.lowering.lower import lower
from ...compiler.pattern import Pattern, Plan
from ...runtime.engines.compose.lengths.trim import milestone
from ...runtime.engines.compose.plan.block import Block
from ...runtime.engines.compose.plan.diagonal import Diagonals
from ...runtime.engines.compose.plan.place import Gathered, Place, Side
from ...runtime.engines.compose.plan.stage import Stage, Stages
from ...runtime.engines.compose.pricing.machine import this_machine
from ...runtime.engines.compose.pricing.price import Heads, Price
from ...runtime.engines.compose.routes import considered, routes
from .program import compilable, tokens, uncompilable
from .property import Example, Violated, bounded, first_difference, places

MOST = 3000
"""Tokens of an example."""

Counts = NDArray[np.int16]


class Batches:
    name = "batches"
    share = 0.2

    def left_out(self, subject: Pattern | Plan) -> str:
        return uncompilable(subject, None)

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[Example]:
        assert isinstance(subject, Pattern)
        return places(subject, fixed, MOST)

    def judge(self, example: Example) -> None:
        direction = example.pattern.direction
        with bounded(), compilable():
            program = lower(example.body, direction, example.pattern.name).program
            wanted = bruteforce.mask(example.body, direction, example.n, example.nk)
            keys = example.n if example.nk is None else example.nk
            found_routes = list(routes(program, example.n, keys, _price(), torch.float32))
            if example.nk is None and milestone(program, example.n, keys) != example.n:
                found_routes += considered(program, example.n, _price(), torch.float32)
            for route in found_routes:
                found = batch_counts(route.stages, example.n, keys)
                if not np.array_equal(found, wanted):
                    place = first_difference(found, wanted)
                    raise Violated(f"the {route.name} batches do not hold each pair of the pattern once: {place}")


def _price() -> Price:
    """A few heads on this machine."""
    return Price(this_machine("float32"), Heads(batch=1, keys=2, group=2, dim=64), threads=2)


def batch_counts(stages: Stages, n: int, nk: int) -> Counts:
    """[n, nk]: how many of the blocks and diagonals hold each pair."""
    counts = np.zeros((n, nk), dtype=np.int16)
    for stage in stages:
        if isinstance(stage, Diagonals):
            _add_diagonals(counts, stage)
            continue
        for batch in stage.batches:
            _add(counts, stage, batch.block)
    return counts


def _add_diagonals(counts: Counts, stage: Diagonals) -> None:
    """Add one for each pair of every diagonal. Raises Violated for a token that is not there."""
    for one in stage.each:
        rows = np.arange(one.start, one.stop)
        keys = rows + one.offset
        if rows[0] < 0 or rows[-1] >= stage.rows or keys[0] < 0 or keys[-1] >= counts.shape[1]:
            raise Violated(f"a diagonal of compose reads query {rows[-1]} or key {keys[-1]} of {counts.shape} tokens")
        mask = None if one.mask is None else one.mask.numpy()
        counts[rows, keys] += 1 if mask is None else np.resize(mask, len(rows)) if one.period else mask


def _add(counts: Counts, stage: Stage, block: Block) -> None:
    """Add one for each pair of every class and tile of a batch. Raises Violated for a token that is not there."""
    tiles = block.tiles
    for step in range(block.classes):
        for tile in range(tiles.count):
            keys = tiles.keys + tile * tiles.growth
            inside = np.ones((tiles.rows, keys), dtype=np.bool_) if block.mask is None else block.mask
            inside = np.tril(inside) if block.triangle else inside
            a = tiles.row + tile * tiles.row_step + np.arange(tiles.rows)
            b = tiles.key + tile * tiles.key_step + np.arange(keys)
            i, j = _tokens(stage.query, block.first_class + step, a), _tokens(stage.key, block.key_class + step, b)
            rows, columns = i < counts.shape[0], j < counts.shape[1]
            # A tiled order is gathered with room for what does not exist: such queries go nowhere.
            roomy = isinstance(stage.query, Side) and stage.query.order.tiled
            if not (rows.all() or roomy) or (inside & rows[:, None])[:, ~columns].any():
                raise Violated(f"a batch of compose reads query {i[-1]} or key {j[-1]} of {counts.shape} tokens")
            counts[np.ix_(i[rows], j[columns])] += inside[np.ix_(rows, columns)]


def _tokens(place: Place, cls: int, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    match place:
        case Side():
            return tokens(place.order, cls, ranks)
        case Gathered():
            return place.index.numpy()[ranks]
