"""The diagonals of a sweep that asks for the last token, from those at another length.

A window that is shifted at the end of the sequence asks for the length, but only of the last queries: of those before
them it is proved, once for a program, that whatever the length, it does not matter. Their runs are those of a longer
sequence; the last queries alone are looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import Program, Range, Sweep, on_diagonals
from .....compiler.relations.affine import Box, restrict
from .....compiler.relations.integer import (
    TRUE,
    Binary,
    Compare,
    Const,
    Predicate,
    Select,
    Var,
    length_values,
    rebuilt,
    substitute,
    variables,
)
from .....compiler.relations.sums import at_distance, in_digits
from .....compiler.relations.tape import Tape
from ..plan.diagonal import Diagonal, Diagonals
from ..plan.tiles import Mask
from ..planning.arranged import sweeps
from ..planning.diagonals import diagonal
from ..planning.distances import Run, few_runs

MARGINS = (32, 64, 96, 128, 160, 192, 256, 384, 512)
"""Queries at the end that may be looked at: the fewest that is proved to do."""

FAR = 1 << 40
"""More tokens than a sequence has."""

_EARLIER = 4
"""So many times as many queries come before those at the end, at least: what the first queries ask is not asked of
these."""

Numbers = NDArray[np.int64]


class _Asked(NamedTuple):
    """A range at the end of a sequence: the first and the last ``step`` of its fan in a tile I, its ``ends`` there at a
    step d, and its mask over a and x = b - a, where it has one."""

    steps: Tape | None
    ends: Tape
    keep: Tape | None

    @staticmethod
    def of(span: Range, keep: Predicate) -> _Asked:
        names = ("I", "c", "n", "nq", "nk")
        steps = None if span.fan is None else Tape.of((span.fan.first, span.fan.last), names, "I")
        ends = Tape.of((span.lo, span.hi), (*names, "d"), "I", "d")
        return _Asked(steps, ends, None if keep == TRUE else Tape.of((keep,), ("a", "x", *names[1:]), "a", "x"))


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """Of a sweep: that queries which are ``margin`` or more before the end of a sequence do not ask for its length; of
    the others its ``ranges`` are asked."""

    margin: int
    ranges: tuple[_Asked, ...]

    @property
    def shortest(self) -> int:
        """Sequence that may be told by a longer one."""
        return (1 + _EARLIER) * self.margin


@lru_cache(maxsize=64)
def ending(pinned: Pinned[Program], number: int) -> Ending | None:
    """Of a sweep of diagonals; None where none of the margins is proved to do."""
    program, sweep = pinned.program, sweeps(pinned.program)[number]
    keep = at_distance(program.terms[sweep.term].keep)
    keeps = [keep if span.masked else TRUE for span in sweep.ranges]
    asked = [*(_visited(span, program.tile.query) for span in sweep.ranges), *keeps]
    if any("T" in variables(each) for each in asked):
        return None
    beyond = [in_digits(substitute(each, {"n": Binary("+", Var("a"), Var("e"))})) for each in asked]
    fewest = bisect_left(MARGINS, True, key=lambda margin: all(_settled(each, margin) for each in beyond))
    if fewest == len(MARGINS):
        return None
    margin = MARGINS[fewest]
    box = {"a": (_EARLIER * margin, FAR), "x": (-FAR, FAR), "n": (_EARLIER * margin, FAR), "c": (0, 0)}
    return Ending(
        margin, tuple(_Asked.of(span, restrict(keep, box)) for span, keep in zip(sweep.ranges, keeps, strict=True))
    )


def _visited(span: Range, size: int) -> Predicate:
    """Whether a range of diagonals holds a pair, over a, x, d and n."""
    return at_distance(_chosen(substitute(on_diagonals(span), {"I": Binary("//", Var("a"), Const(size))})))


def _chosen(node: Any) -> Any:
    """The lesser and the greater of two as choices, which bounds may decide."""
    match node:
        case Binary("min" | "max" as which, left, right):
            one, two = _chosen(left), _chosen(right)
            return Select(Compare("<=" if which == "min" else ">=", one, two), one, two)
        case _:
            return rebuilt(node, _chosen)


def _settled(predicate: Predicate, margin: int) -> bool:
    """Whether it says the same of query a at all lengths a + e that have so many tokens from a on, or more: where it
    does of some, it does of more."""
    some = 0, FAR
    box: Box = {"a": some, "x": (-FAR, FAR), "d": some, "c": (0, 0), "e": (margin, FAR)}
    return "e" not in variables(restrict(predicate, box))


def diagonals_at(program: Program, sweep: Sweep, own: Ending, longer: Diagonals, n: int, *, fresh: bool) -> Diagonals:
    """The diagonals of a sweep for n tokens, from those of as many or more."""
    first = n - own.margin
    before: dict[int, list[Run]] = {}
    for one in longer.each:
        if one.start < first:
            before.setdefault(one.offset, []).append(_run(one).part(one.start, min(one.stop, first)))
    behind = dict(_last(program, sweep, own, n))
    each = ((offset, before.get(offset, []), behind.get(offset)) for offset in sorted({*before, *behind}))
    found = ((offset, run) for offset, front, last in each for run in _together(front, last))
    return Diagonals(tuple(diagonal(*one) for one in found), n, fresh)


def _run(one: Diagonal) -> Run:
    return Run(one.start, one.stop, None if one.mask is None else one.mask.numpy(), one.period)


def _together(front: list[Run], last: Run | None) -> Iterable[Run]:
    if not front or last is None:
        return few_runs([*front, *([] if last is None else [last])])
    end = front[-1]
    if end.mask is last.mask is None and end.stop == last.start:
        return (*front[:-1], Run(end.start, last.stop))
    return few_runs([*front, last])


def _last(program: Program, sweep: Sweep, own: Ending, n: int) -> Iterator[tuple[int, Run]]:
    """(distance, those of the last queries that have a key there)."""
    first = n - own.margin
    queries = np.arange(first, n, dtype=np.int64)
    found: list[tuple[Numbers, Mask]] = []
    for asked in own.ranges:
        distances, tiles = _distances(asked, np.arange(first // program.tile.query, -(-n // program.tile.query)), n)
        if not len(distances):
            continue
        column = distances[:, None]
        kept = np.repeat(tiles, program.tile.query, axis=1)[:, first % program.tile.query :][:, : own.margin]
        kept = kept & (queries + column >= 0) & (queries + column < n)
        if asked.keep is not None:
            kept &= asked.keep.at({"a": queries, "x": column, "c": 0, **length_values(n)})[0][0]
        found.append((distances, kept))
    for distance, mask, edges in _with_edges(*_united(found)) if found else ():
        if len(edges) == 2:
            yield distance, Run(first + edges[0], first + edges[1])
        elif edges:
            yield distance, Run(first, n, mask)


def _united(found: list[tuple[Numbers, Mask]]) -> tuple[Numbers, Mask]:
    """Distances, each once, and for each a row of a mask."""
    if len(found) == 1:
        return found[0]
    distances, which = np.unique(np.concatenate([some for some, _ in found]), return_inverse=True)
    masks = np.zeros((len(distances), found[0][1].shape[1]), dtype=np.bool_)
    np.logical_or.at(masks, which, np.concatenate([kept for _, kept in found]))
    return distances, masks


def _with_edges(distances: Numbers, masks: Mask) -> Iterator[tuple[int, Mask, list[int]]]:
    """With each row of the masks where it begins to hold, and ends, in turn."""
    rows, edges = np.nonzero(np.diff(masks, axis=1, prepend=False, append=False))
    ends = np.searchsorted(rows, np.arange(len(distances) + 1)).tolist()
    each = edges.tolist()
    for at, (distance, mask) in enumerate(zip(distances.tolist(), masks, strict=True)):
        yield distance, mask, each[ends[at] : ends[at + 1]]


def _distances(asked: _Asked, tiles: Numbers, n: int) -> tuple[Numbers, Mask]:
    """The distances that a range holds in some of these tiles, ascending; and in which, bool [distances, tiles]."""
    values: dict[str, Any] = {"I": tiles, "c": 0, "d": 0, **length_values(n)}
    shape = (1, len(tiles))
    inside: Any = True
    if asked.steps is not None:
        begin, end = (np.broadcast_to(each, shape) for each in asked.steps.at(values)[0])
        values["d"] = np.arange(int(begin.min()), int(end.max()), dtype=np.int64)[:, None]
        inside, shape = (begin <= values["d"]) & (values["d"] < end), (len(values["d"]), len(tiles))
    lo, hi = (np.broadcast_to(each, shape) for each in asked.ends.at(values)[0])
    some = np.broadcast_to((lo < hi) & inside, shape)
    ends = zip(lo[some].tolist(), hi[some].tolist(), strict=True)
    distances = np.array(sorted({x for low, high in ends for x in range(low, high)}), dtype=np.int64)
    at = distances[:, None, None]
    return distances, ((lo <= at) & (at < hi) & some).any(axis=1)
