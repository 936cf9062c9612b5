"""The masks of a run of tiles: one for many tiles where that is proved, and none where none is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.pinned import Pinned
from .....compiler.relations.affine import Box, invariant, periods, restrict
from .....compiler.relations.by_sides import by_sides
from .....compiler.relations.decided import decided
from .....compiler.relations.equal_parts import sharing
from .....compiler.relations.integer import FALSE, TRUE, Predicate, evaluate
from .....compiler.relations.sums import in_digits, in_quotients
from ..plan.tiles import Mask, Tiles, cut_off

Parts = NDArray[np.int64]
"""[parts, 4]: the first row, rows, the first key and keys of each."""

Plain: TypeAlias = Callable[[Predicate], Predicate]
"""Writes a predicate so that it is seen where it comes again."""

LARGEST_MASK = 1 << 16
"""A single tile with more pairs than this is cut up until its parts are decided or small."""

FEWEST_TILES = 4
"""A run is halved in search of a common mask until it is this short."""

MOST_REPEATED = 32
"""Tiles after which a mask may come again."""


def runs(keep: Predicate, tiles: Tiles, known: dict[str, int]) -> Iterator[tuple[Tiles, Predicate]]:
    """The tiles in runs, and what the predicate leaves open on each, the same for all tiles of the run.

    Tiles of which nothing is kept are left out. ``known`` gives the variables besides a and b.
    """
    boxes = {name: (value, value) for name, value in known.items()}
    plain = in_quotients()
    return _joined(_halved(_by_digits(Pinned(keep)), tiles, boxes, plain), plain)


@lru_cache(maxsize=64)  # each shape of a reach asks for runs of the same
def _by_digits(pinned: Pinned[Predicate]) -> Predicate:
    [keep] = sharing((in_digits(pinned.program),))
    found: Predicate = keep
    return found


def alike_midway(keep: Predicate, tiles: Tiles, known: dict[str, int]) -> bool:
    """Whether the tiles in the middle of a run are proved to share a mask, or few of them."""
    count = min(tiles.count, 2 * MOST_REPEATED)
    middle = tiles.part((tiles.count - count) // 2, count)
    boxes = {name: (value, value) for name, value in known.items()}
    told = in_quotients()(restrict(_by_digits(Pinned(keep)), {**boxes, **middle.box()}))
    return told in (TRUE, FALSE) or invariant(told, middle.row_step, middle.key_step) or bool(_repeated(told, middle))


def masked(tiles: Tiles, keep: Predicate, known: dict[str, int]) -> tuple[Tiles, Mask | None] | None:
    """A run with its mask [rows, keys], or None for it where every pair is kept; nothing where none is."""
    return (tiles, None) if keep == TRUE else cut_off(tiles, _evaluated(keep, tiles, known))


def _joined(parts: Iterator[tuple[Tiles, Predicate]], plain: Plain) -> Iterator[tuple[Tiles, Predicate]]:
    """Neighbouring runs that share a mask as one."""
    pending: tuple[Tiles, Predicate] | None = None
    for run, local in parts:
        if pending is not None:
            tiles = pending[0]
            # Pieces of one large tile may share a formula too, but none is the next tile of another.
            follows = tiles.part(tiles.count, run.count) == run
            told = plain(local) if follows else local
            if follows and plain(pending[1]) == told and invariant(told, run.row_step, run.key_step):
                pending = (tiles.part(0, tiles.count + run.count), pending[1])
                continue
            yield pending
        pending = (run, local)
    if pending is not None:
        yield pending


def _halved(keep: Predicate, tiles: Tiles, known: Box, plain: Plain) -> Iterator[tuple[Tiles, Predicate]]:
    """Runs in which the predicate, as far as their ranks leave it open, is the same for every tile."""
    keep = restrict(keep, {**known, **tiles.box()})
    if keep == FALSE:
        return
    if keep == TRUE:
        yield tiles, keep
        return
    if tiles.count == 1:
        yield from _cut(keep, tiles, known)
        return
    told = plain(keep)
    if invariant(told, tiles.row_step, tiles.key_step):
        yield tiles, keep
        return
    for part in _repeated(told, tiles) or _parts(tiles):
        yield from _halved(keep, part, known, plain)


def _repeated(keep: Predicate, tiles: Tiles) -> list[Tiles] | None:
    """Every p-th tile from each of the first p, where the predicate is proved to come again after p."""
    ranks = math.lcm(*periods(keep))
    every = math.lcm(*(ranks // math.gcd(ranks, step) for step in (tiles.row_step, tiles.key_step)))
    if every > min(MOST_REPEATED, tiles.count // 2) or not invariant(
        keep, every * tiles.row_step, every * tiles.key_step
    ):
        return None
    return [tiles.part(start, -(-(tiles.count - start) // every)).spread(every) for start in range(every)]


def _parts(tiles: Tiles) -> Iterator[Tiles]:
    """Half of the tiles and the other half; near a border, tile by tile."""
    parts = 2 if tiles.count > FEWEST_TILES else tiles.count
    edges = [tiles.count * part // parts for part in range(parts + 1)]
    return (tiles.part(start, stop - start) for start, stop in pairwise(edges))


def _cut(keep: Predicate, tile: Tiles, known: Box) -> Iterator[tuple[Tiles, Predicate]]:
    """One large tile, halved until its parts are decided or small; all parts of a size are looked at together."""
    parts = np.array([[tile.row, tile.rows, tile.key, tile.keys]])
    while len(parts):
        holds = _decided(keep, parts, known)
        yield from ((_part(tile, part), TRUE) for part in parts[holds > 0])
        parts = parts[holds == 0]
        small = parts[:, 1] * parts[:, 3] <= LARGEST_MASK
        for part in map(partial(_part, tile), parts[small]):
            if (local := restrict(keep, {**known, **part.box()})) != FALSE:
                yield part, local
        parts = _half(keep, parts[~small], known)


def _part(tile: Tiles, part: Parts) -> Tiles:
    row, rows, key, keys = part.tolist()
    return replace(tile, row=row, rows=rows, key=key, keys=keys)


def _half(keep: Predicate, parts: Parts, known: Box) -> Parts:
    """Each part halved along its rows or its keys: where that decides a half, else along the longer side."""
    rows, keys = _halves(parts, 0), _halves(parts, 2)
    by_rows, by_keys = ((_decided(keep, halves, known) != 0).reshape(2, -1).any(axis=0) for halves in (rows, keys))
    along = np.where(by_rows != by_keys, by_rows, parts[:, 1] > parts[:, 3])
    along = (along | (parts[:, 3] < 2)) & (parts[:, 1] > 1)
    return np.where(np.tile(along, 2)[:, None], rows, keys)


def _halves(parts: Parts, at: int) -> Parts:
    """The first halves of all parts along the side that begins in column ``at``, then the others."""
    first, second = parts.copy(), parts.copy()
    first[:, at + 1] //= 2
    second[:, at] += first[:, at + 1]
    second[:, at + 1] -= first[:, at + 1]
    return np.concatenate([first, second])


def _decided(keep: Predicate, parts: Parts, known: Box) -> NDArray[np.int8]:
    """As ``decided``, of each part; one that is empty is decided one way or the other."""
    row, rows, key, keys = parts.T
    boxes = {**known, "a": (row, row + rows - 1), "b": (key, key + keys - 1)}
    return np.broadcast_to(np.asarray(decided(keep, boxes), dtype=np.int8), len(parts))


def _evaluated(keep: Predicate, tiles: Tiles, known: dict[str, int]) -> Mask:
    """The mask of the first tile."""
    a = tiles.row + np.arange(tiles.rows, dtype=np.int64)[:, None]
    b = tiles.key + np.arange(tiles.keys, dtype=np.int64)[None, :]
    mask: Any = evaluate(by_sides(keep), {"a": a, "b": b, **known}, np)
    return np.broadcast_to(np.asarray(mask, dtype=np.bool_), (tiles.rows, tiles.keys))
