"""How many tiles, or diagonals, a placed term touches at a length: what layout search minimises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..relations.equal_parts import sharing
from ..relations.integer import Expr, evaluate, length_values
from .placement import Placement
from .program import Fan, Order, Range, Tile, range_variables

Ends: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]

_AT_ONCE = 1 << 17
"""So many tiles of the steps of a fan are evaluated together."""


@dataclass(frozen=True, slots=True)
class Visits:
    """What a key range visits at a length, over all query tiles and classes."""

    tiles: int
    diagonals: int
    masked: bool


def count_visits(ranges: Sequence[Range], placement: Placement, tile: Tile, n: int) -> tuple[Visits, ...]:
    """What each key range visits at length n, in a program of tiles ``tile``."""
    counts = ((span, count_range(span, placement, placement.within(tile), n, "I")) for span in ranges)
    return tuple(
        Visits(0, count, span.masked) if span.diagonal else Visits(count, 0, span.masked) for span, count in counts
    )


def count_range(span: Range, placement: Placement, tile: Tile, n: int, still: str, *, distinct: bool = False) -> int:
    """Tiles or diagonals of a range at length n, over all tiles I of queries, or J of keys, that stand still, and all
    classes. ``distinct``: a tile that several steps of a fan have counts once."""
    side = stationary(placement, tile, n, still, each_class="c" in range_variables(span))
    steps = [*_ends(span, side.values, side.tiles).values()]
    return side.repeat * sum(int(np.maximum(hi - lo, 0).sum()) for lo, hi in (first_seen(steps) if distinct else steps))


@dataclass(frozen=True, slots=True)
class Stationary:
    """Tiles that stand still, one after the other, of all classes or of one for all, which then count ``repeat`` times;
    ``values``: what the variables of a range are at each of them."""

    tiles: int
    repeat: int
    values: dict[str, Any]


def stationary(placement: Placement, tile: Tile, n: int, still: str, *, each_class: bool) -> Stationary:
    """All tiles I of queries, or J of keys, at length n. Unless ``each_class``, those of the first stand for all."""
    query, key, turn = (placement.query, tile.query), (placement.key, tile.key), placement.turn
    (own, size), (other, swept) = (query, key) if still == "I" else (key, query)
    classes = np.arange(own.classes if each_class else 1)
    turned = (turn if still == "I" else turn.back(own.classes)).of(classes, other.classes)
    counts = [tile_count(own, cls, n, size) for cls in classes.tolist()]
    others = [tile_count(other, cls, n, swept) for cls in turned.tolist()]
    values: dict[str, Any] = length_values(n)
    if not each_class:
        values |= {still: np.arange(counts[0], dtype=np.int64), "c": 0, "T": others[0]}
        return Stationary(counts[0], own.classes, values)
    values |= {still: np.concatenate([np.arange(count) for count in counts])}
    values |= {"c": np.repeat(classes, counts), "T": np.repeat(others, counts)}
    return Stationary(sum(counts), 1, values)


def first_seen(steps: Sequence[Ends]) -> Iterator[Ends]:
    """The same tiles, each once; in the order of the ends, not of the steps."""
    if not steps:
        return
    lows, highs = (np.stack(ends) for ends in zip(*steps, strict=True))
    order = np.argsort(lows, axis=0, kind="stable")
    lows, highs = (np.take_along_axis(ends, order, axis=0) for ends in (lows, highs))
    seen = np.maximum.accumulate(highs, axis=0)
    yield lows[0], highs[0]
    yield from ((np.maximum(lo, before), hi) for lo, hi, before in zip(lows[1:], highs[1:], seen, strict=False))


def tile_count(order: Order, cls: int, n: int, size: int) -> int:
    """ceil(ranks / size)."""
    return -(-order.ranks(cls, n) // size)


def bounds(
    span: Range, tiles: int, cls: int, other_tiles: int, n: int, still: str, nk: int | None = None
) -> dict[int, Ends]:
    """lo and hi of every stationary tile 0..tiles-1, clipped to the tiles that exist: two int64 arrays [tiles], by
    the step of the fan. A tile that has no such step has lo = hi there; without a fan the one step is 0. Diagonals are
    not clipped.

    ``n`` is the number of tokens, in a cross program that of queries, with ``nk`` that of keys.
    """
    values = {still: np.arange(tiles, dtype=np.int64), "c": cls, "T": other_tiles, **length_values(n, nk)}
    return _ends(span, values, tiles)


def _ends(span: Range, values: dict[str, Any], tiles: int) -> dict[int, Ends]:
    known: dict[int, Any] = {}
    if span.fan is None:
        [lo], [hi] = _clipped(span, sharing((span.lo, span.hi)), values, known, (1, tiles))
        return {0: (lo, hi)}
    *ends, begin, end = sharing((span.lo, span.hi, span.fan.first, span.fan.last))
    steps, first, last = steps_of(Fan(begin, end, span.fan.row), values, tiles, known)
    fixed = dict(known)  # no step is asked for in these
    found: dict[int, Ends] = {}
    for some in np.array_split(steps, -(-len(steps) * tiles // _AT_ONCE) or 1):
        at = some[:, None]
        low, high = _clipped(span, ends, values | {"d": at}, dict(fixed), (len(some), tiles))
        high = np.where((first <= at) & (at < last), high, low)
        found |= zip(some.tolist(), zip(low, high, strict=True), strict=True)
    return found


def steps_of(
    fan: Fan, values: Mapping[str, Any], tiles: int, known: dict[int, Any] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The steps that some of so many stationary tiles have; and of each tile first and last."""
    first, last = (np.broadcast_to(evaluate(end, values, np, known), (tiles,)) for end in (fan.first, fan.last))
    return np.arange(int(first.min(initial=0)), int(last.max(initial=0))), first, last


def _clipped(
    span: Range, ends: Sequence[Expr], values: dict[str, Any], known: dict[int, Any], shape: tuple[int, ...]
) -> Ends:
    lo, hi = (np.broadcast_to(evaluate(end, values, np, known), shape) for end in ends)
    return (lo, hi) if span.diagonal else (np.maximum(lo, 0), np.minimum(hi, values["T"]))
