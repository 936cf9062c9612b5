"""The masks of a run of tiles: one for many tiles where that is proved, and none where none is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.pinned import Pinned
from .....compiler.relations.affine import Box, invariant, restrict
from .....compiler.relations.by_sides import by_sides
from .....compiler.relations.decided import decided
from .....compiler.relations.equal_parts import sharing
from .....compiler.relations.integer import FALSE, TRUE, Predicate, evaluate
from .....compiler.relations.recurring import periods
from .....compiler.relations.sums import in_digits, in_quotients
from ..plan.tiles import Mask, Tiles, cut_off
from .alone import Open, Told, evaluated, is_masked, is_small

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


def runs(keep: Predicate, some: Sequence[Tiles], known: dict[str, int]) -> Iterator[tuple[Tiles, Open]]:
    """These tiles in runs, and what the predicate leaves open on each, the same for all tiles of the run.

    Tiles of which nothing is kept are left out. ``known`` gives the variables besides a and b.
    """
    boxes, plain, large = {name: (value, value) for name, value in known.items()}, in_quotients(), list[Tiles]()
    keep = _by_digits(Pinned(keep))
    told = (each for tiles in some for each in _joined(_halved(keep, tiles, boxes, plain, large), plain))
    yield from evaluated(keep, told, known)
    yield from _cut(keep, large, boxes)


@lru_cache(maxsize=64)  # each shape of a reach asks for runs of the same
def _by_digits(pinned: Pinned[Predicate]) -> Predicate:
    [keep] = sharing((by_sides(in_digits(pinned.program)),))
    found: Predicate = keep
    return found


def is_cut(tiles: Tiles) -> bool:
    """Whether each of the tiles is, where it has a mask of its own."""
    return tiles.rows * tiles.keys > LARGEST_MASK


def alike_midway(keep: Predicate, tiles: Tiles, known: dict[str, int]) -> bool:
    """Whether the tiles in the middle of a run are proved to share a mask, or few of them."""
    boxes = {name: (value, value) for name, value in known.items()}
    return _alike_midway(_by_digits(Pinned(keep)), tiles, boxes, in_quotients())


def _alike_midway(keep: Predicate, tiles: Tiles, known: Box, plain: Plain) -> bool:
    count = min(tiles.count, 2 * MOST_REPEATED)
    middle = tiles.part((tiles.count - count) // 2, count)
    told = plain(restrict(keep, {**known, **middle.box()}, middle.spaced()))
    return told in (TRUE, FALSE) or invariant(told, middle.row_step, middle.key_step) or bool(_repeated(told, middle))


def masked(tiles: Tiles, left: Open, known: dict[str, int]) -> tuple[Tiles, Mask | None] | None:
    """A run with its mask [rows, keys], or None for it where every pair is kept; nothing where none is."""
    if not is_masked(left):
        return tiles, None
    return cut_off(tiles, left if isinstance(left, np.ndarray) else _evaluated(left, tiles, known))


def _joined(parts: Iterator[Told], plain: Plain) -> Iterator[Told]:
    """Neighbouring runs that share a mask as one."""
    pending: tuple[Tiles, Predicate] | None = None
    for run, local in parts:
        if local is None:
            if pending is not None:
                yield pending
            yield run, None
            pending = None
            continue
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


def _halved(
    keep: Predicate, tiles: Tiles, known: Box, plain: Plain, large: list[Tiles], *, whole: bool = True
) -> Iterator[Told]:
    """Runs in which the predicate, as far as their ranks leave it open, is the same for every tile; of small tiles that
    stand alone it is not told. ``large`` gains the tiles that stand alone, but are to be cut. ``whole``: the run is no
    part of another, so that only its ends may differ from the others."""
    if tiles.count == 1 and is_small(tiles):
        yield tiles, None
        return
    keep = restrict(keep, {**known, **tiles.box()}, tiles.spaced())
    if keep == FALSE:
        return
    if keep == TRUE:
        yield tiles, keep
        return
    if tiles.count == 1:
        if is_cut(tiles):
            large.append(tiles)
        else:
            yield tiles, keep
        return
    told = plain(keep)
    if invariant(told, tiles.row_step, tiles.key_step):
        yield tiles, keep
        return
    every = _repeated(told, tiles)
    if every is None and is_cut(tiles) and not _alike_midway(keep, tiles, known, plain):
        large += [tiles.part(tile, 1) for tile in range(tiles.count)]
        return
    for part in every or _parts(tiles, whole=whole):
        yield from _halved(keep, part, known, plain, large, whole=every is not None)


def _repeated(keep: Predicate, tiles: Tiles) -> list[Tiles] | None:
    """Every p-th tile from each of the first p, where the predicate is proved to come again after p."""
    ranks = math.lcm(*periods(keep))
    every = math.lcm(*(ranks // math.gcd(ranks, step) for step in (tiles.row_step, tiles.key_step)))
    if every > min(MOST_REPEATED, tiles.count // 2) or not invariant(
        keep, every * tiles.row_step, every * tiles.key_step
    ):
        return None
    return [tiles.part(start, -(-(tiles.count - start) // every)).spread(every) for start in range(every)]


def _parts(tiles: Tiles, *, whole: bool) -> Iterator[Tiles]:
    """Of a whole run the first and the last few tiles one by one, and all between; else half of the tiles and the other
    half; near a border, tile by tile."""
    count, few = tiles.count, FEWEST_TILES // 2
    if whole and count > 2 * FEWEST_TILES:
        edges = [*range(few + 1), *range(count - few, count + 1)]
    else:
        parts = 2 if count > FEWEST_TILES else count
        edges = [count * part // parts for part in range(parts + 1)]
    return (tiles.part(start, stop - start) for start, stop in pairwise(edges))


def _cut(keep: Predicate, tiles: Sequence[Tiles], known: Box) -> Iterator[tuple[Tiles, Predicate]]:
    """Large tiles, halved until their parts are decided or small; all parts of a size are looked at together."""
    if not tiles:
        return
    parts = np.array([(tile.row, tile.rows, tile.key, tile.keys) for tile in tiles], dtype=np.int64)
    keep = restrict(keep, {**known, **_hull(parts)})
    holds = _decided(keep, parts, known)
    while len(parts):
        yield from ((part, TRUE) for part in map(_part, parts[holds > 0].tolist()))
        parts = parts[holds == 0]
        small = parts[:, 1] * parts[:, 3] <= LARGEST_MASK
        for part in map(_part, parts[small].tolist()):
            if (local := restrict(keep, {**known, **part.box()})) != FALSE:
                yield part, local
        parts, holds = _half(keep, parts[~small], known)
        order = np.lexsort((parts[:, 2], parts[:, 0]))  # what is evenly spaced becomes one batch
        parts, holds = parts[order], holds[order]


def _hull(parts: Parts) -> Box:
    """The ranks of all parts."""
    (row, rows), (key, keys) = parts.T[:2], parts.T[2:]
    ends = ((first.min(), (first + size).max() - 1) for first, size in ((row, rows), (key, keys)))
    return {name: (int(low), int(high)) for name, (low, high) in zip("ab", ends, strict=True)}


def _part(part: tuple[int, int, int, int]) -> Tiles:
    row, rows, key, keys = part
    return Tiles(row, rows, 0, key, keys, 0, 1)


def _half(keep: Predicate, parts: Parts, known: Box) -> tuple[Parts, NDArray[np.int8]]:
    """Each part halved along its rows or its keys, in the middle or at a round rank near it: where that decides most
    pairs, else at the round rank of the longer side. With what is ``decided`` of the halves."""
    ways = np.stack([_halves(parts, at, cut) for at in (0, 2) for cut in (_round(parts, at), parts[:, at + 1] // 2)])
    holds = _decided(keep, ways.reshape(-1, 4), known).reshape(ways.shape[:2])
    pairs = np.where(holds != 0, ways[..., 1] * ways[..., 3], 0).reshape(len(ways), 2, -1).sum(axis=1)
    best = np.where(pairs.any(axis=0), pairs.argmax(axis=0), np.where(parts[:, 1] > parts[:, 3], 0, 2))
    halves = np.tile(best, 2), np.arange(2 * len(parts))
    return ways[halves], holds[halves]


def _round(parts: Parts, at: int) -> NDArray[np.int64]:
    """How far from the begin of the side in column ``at`` the middle half of it has the rank that most powers of two
    divide: parts of neighbours that are cut there are often alike."""
    begin, size = parts[:, at], parts[:, at + 1]
    low, high = begin + size // 4, begin + size * 3 // 4
    _, bits = np.frexp(low ^ high)  # those in which they differ begin with this one
    places = np.maximum(bits - 1, 0)
    found: NDArray[np.int64] = (high >> places << places) - begin
    return found


def _halves(parts: Parts, at: int, cut: NDArray[np.int64]) -> Parts:
    """The first parts of all, of so many ranks of the side that begins in column ``at``, then the others."""
    first, second = parts.copy(), parts.copy()
    first[:, at + 1] = cut
    second[:, at] += cut
    second[:, at + 1] -= cut
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
    mask: Any = evaluate(keep, {"a": a, "b": b, **known}, np, {})
    return np.broadcast_to(np.asarray(mask, dtype=np.bool_), (tiles.rows, tiles.keys))
