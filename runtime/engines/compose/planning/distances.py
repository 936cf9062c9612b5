"""Which queries have a key at a distance: in runs, which are found without a look at each query.

Of a long stretch of queries it is proved that all of them have one, or none, or that it comes again after a few
queries; only near its ends, where a window is shifted or cut short, they are looked at one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.count import bounds
from .....compiler.passes.program import Program, Sweep
from .....compiler.relations.affine import invariant, restrict
from .....compiler.relations.decided import decided
from .....compiler.relations.equal_parts import sharing
from .....compiler.relations.integer import TRUE, Predicate, evaluate, length_values
from .....compiler.relations.recurring import periods
from .....compiler.relations.sums import at_distance
from ..plan.tiles import Mask

LOOKED_AT = 1024
"""A stretch of so many queries is looked at one by one."""

AT_ONCE = 32
"""So many such stretches are looked at together."""

MOST_TRIED = 4
"""Of more stretches of a distance it is not asked whether they come again: a proof takes long."""

LONGEST_MASK = 1 << 15
"""Queries that have a mask of their own; one that comes again is held up to there."""

Tiles = NDArray[np.int64]

Stretches = NDArray[np.int64]
"""[stretches, 3]: distance, first query, the query after the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Queries start..stop-1, all of which have a key at the distance; or those of ``mask``. A ``period``: the mask is
    of so many queries, and comes again after them."""

    start: int
    stop: int
    mask: Mask | None = None
    period: int = 0

    def at(self, queries: NDArray[np.int64]) -> Mask:
        """Whether these have a key; one that comes again is asked beyond its ends too."""
        if self.mask is None:
            return np.ones(len(queries), dtype=np.bool_)
        places = queries - self.start
        return self.mask[places % self.period if self.period else places]

    def kept(self, start: int, stop: int) -> Mask:
        """As ``at``, of the queries start..stop-1."""
        return self.at(np.arange(start, stop))

    def part(self, start: int, stop: int) -> Run:
        """Its queries start..stop-1, which may lie beyond its ends where it comes again."""
        if self.mask is None:
            return Run(start, stop)
        return Run(start, stop, self.kept(start, start + self.period if self.period else stop), self.period)


def runs_of(program: Program, sweep: Sweep, n: int, nk: int) -> Iterator[tuple[int, Run]]:
    """(offset, some of the queries that have a key there) of the diagonals of a sweep, each pair once, for n queries
    and nk keys."""
    tile, known = program.tile, {"c": 0, **length_values(n, nk)}
    for span in sweep.ranges:
        keep = program.terms[sweep.term].keep if span.masked else TRUE
        steps = bounds(span, -(-n // tile.query), 0, -(-nk // tile.key), n, "I", nk).values()
        stretches = [each for lo, hi in steps for each in _stretches(lo, hi, tile.query, n, nk)]
        for offset, runs in runs_at_distances(keep, stretches, known).items():
            yield from ((offset, run) for run in runs)


def _stretches(lo: Tiles, hi: Tiles, size: int, n: int, nk: int) -> Iterator[tuple[int, int, int]]:
    """(offset, first query, the query after the last) of neighbouring tiles that are visited at an offset; their keys
    exist."""
    some = np.flatnonzero(hi > lo)
    for offset in range(int(lo[some].min()), int(hi[some].max())) if len(some) else ():
        visited = (lo <= offset) & (offset < hi)
        edges = size * np.flatnonzero(np.diff(visited, prepend=False, append=False))
        for first, last in edges.reshape(-1, 2).tolist():
            start, stop = max(first, -offset), min(last, n, nk - offset)
            if start < stop:
                yield offset, start, stop


def runs_at_distances(
    keep: Predicate, stretches: Sequence[tuple[int, int, int]], known: dict[str, int]
) -> dict[int, list[Run]]:
    """By their distance the runs of the queries in stretches (distance, start, stop) that ``keep``, over a, b and the
    variables of ``known``, holds of; ascending, none for a distance that no query has a key at."""
    [keep] = sharing((at_distance(keep),))
    found: dict[int, list[Run]] = {}
    for distance, run in _runs(keep, np.array(stretches, dtype=np.int64).reshape(-1, 3), known):
        found.setdefault(distance, []).append(run)
    joined = {distance: few_runs(sorted(found[distance], key=lambda run: run.start)) for distance in sorted(found)}
    return {distance: runs for distance, runs in joined.items() if runs}


def _runs(keep: Predicate, stretches: Stretches, known: dict[str, int]) -> Iterator[tuple[int, Run]]:
    boxes = {name: (value, value) for name, value in known.items()}
    every = math.lcm(*periods(keep))
    stretches = np.concatenate([_without_ends(one) for one in stretches]) if len(stretches) else stretches
    while len(stretches):
        distances, starts, stops = stretches.T
        holds = decided(keep, {**boxes, "a": (starts, stops - 1), "x": (distances, distances)})
        holds = np.broadcast_to(np.asarray(holds), len(stretches))
        yield from ((distance, Run(start, stop)) for distance, start, stop in stretches[holds > 0].tolist())
        stretches = stretches[holds == 0]
        short = stretches[:, 2] - stretches[:, 1] <= LOOKED_AT
        yield from _looked_at(keep, stretches[short], known)
        stretches, left = stretches[~short], []
        few = dict(zip(*np.unique(stretches[:, 0], return_counts=True), strict=True))
        for distance, start, stop in stretches.tolist():
            tried = few[distance] <= MOST_TRIED and 2 * every <= min(stop - start, LONGEST_MASK)
            run = _repeated(keep, distance, start, stop, every, known) if tried else None
            if run is None:
                middle = (start + stop) // 2
                left += [(distance, start, middle), (distance, middle, stop)]
            else:
                yield distance, run
        stretches = np.array(left, dtype=np.int64).reshape(-1, 3)


def _without_ends(stretch: NDArray[np.int64]) -> Stretches:
    """A long one in three: most that differs does at its ends."""
    distance, start, stop = stretch.tolist()
    edges = [start, stop] if stop - start <= 4 * LOOKED_AT else [start, start + LOOKED_AT, stop - LOOKED_AT, stop]
    return np.array([(distance, *ends) for ends in pairwise(edges)], dtype=np.int64)


def _repeated(keep: Predicate, distance: int, start: int, stop: int, every: int, known: dict[str, int]) -> Run | None:
    """A stretch that is proved to come again after ``every`` queries; None where that is not."""
    boxes = {name: (value, value) for name, value in known.items()}
    local = restrict(keep, {**boxes, "a": (start, stop - 1), "x": (distance, distance)})
    if not invariant(local, every, 0):
        return None
    values = {**known, "a": np.arange(start, start + every, dtype=np.int64), "x": distance}
    mask = np.broadcast_to(np.asarray(evaluate(local, values, np), dtype=np.bool_), every)
    return Run(start, stop) if mask.all() else Run(start, stop, mask, every)


def _looked_at(keep: Predicate, stretches: Stretches, known: dict[str, int]) -> Iterator[tuple[int, Run]]:
    for some in np.array_split(stretches, -(-len(stretches) // AT_ONCE)) if len(stretches) else ():
        distances, starts, stops = some.T
        queries = starts[:, None] + np.arange(int((stops - starts).max()), dtype=np.int64)
        mask = np.asarray(evaluate(keep, {**known, "a": queries, "x": distances[:, None]}, np), dtype=np.bool_)
        mask = np.broadcast_to(mask, queries.shape) & (queries < stops[:, None])
        for (distance, start, stop), kept in zip(some.tolist(), mask, strict=True):
            if kept.any():
                yield distance, Run(start, stop, kept[: stop - start].copy())


def few_runs(runs: Iterable[Run]) -> list[Run]:
    """Few runs: neighbours as one where that needs no long mask."""
    found: list[Run] = []
    for part in (part for run in _extended(runs) for part in _parts(run)):
        last = found[-1] if found else None
        if last is not None and last.mask is part.mask is None and last.stop == part.start:
            found[-1] = Run(last.start, part.stop)
        elif last is not None and part.stop - last.start <= LONGEST_MASK:
            between = np.zeros(part.start - last.stop, dtype=np.bool_)
            mask = np.concatenate([last.kept(last.start, last.stop), between, part.kept(part.start, part.stop)])
            found[-1] = Run(last.start, part.stop, mask)
        else:
            found.append(part)
    return [_with_own_mask(run) if run.stop - run.start <= LONGEST_MASK else run for run in found]


def _with_own_mask(run: Run) -> Run:
    return Run(run.start, run.stop, run.kept(run.start, run.stop)) if run.period else run


def _extended(runs: Iterable[Run]) -> list[Run]:
    """What comes again, as far to either side as its neighbours say the same."""
    found: list[Run] = []
    for run in runs:
        if found and found[-1].stop == run.start:
            last = found[-1]
            if last.period:
                more = _agreement(last, run, run.start, 1)
                found[-1], run = replace(last, stop=last.stop + more), run.part(run.start + more, run.stop)
            elif run.period:
                more = _agreement(run, last, last.stop - 1, -1)
                found[-1], run = last.part(last.start, last.stop - more), run.part(run.start - more, run.stop)
        found.append(run)
    return [run for run in found if run.stop > run.start]


def _agreement(one: Run, other: Run, first: int, step: int) -> int:
    """Of how many queries from ``first`` on, in steps of 1 or -1, the other says what one would, if it went on."""
    length = other.stop - other.start
    if other.period not in (0, one.period):
        return 0
    # What comes again leaves some query out: others that have every one, or come again too, are known after a period.
    looked = min(length, one.period) if other.mask is None or other.period else length
    queries = first + step * np.arange(looked)
    differ = np.flatnonzero(one.at(queries) != other.at(queries))
    return int(differ[0]) if len(differ) else length if looked == length or other.period else looked


def _parts(run: Run) -> Iterator[Run]:
    """A run from its first query with a key to its last; where its own mask keeps two parts, each without one."""
    if run.mask is None:
        yield run
    elif run.period:
        own, ends = min(run.period, run.stop - run.start), (run.start, run.stop)
        first = np.flatnonzero(run.kept(ends[0], ends[0] + own))
        last = np.flatnonzero(run.kept(ends[1] - own, ends[1]))
        if len(first):
            yield run.part(ends[0] + int(first[0]), ends[1] - own + int(last[-1]) + 1)
    else:
        edges = np.flatnonzero(np.diff(run.mask, prepend=False, append=False)).tolist()
        if len(edges) <= 4:
            yield from (Run(run.start + at, run.start + to) for at, to in zip(edges[::2], edges[1::2], strict=True))
        else:
            yield run.part(run.start + edges[0], run.start + edges[-1])
