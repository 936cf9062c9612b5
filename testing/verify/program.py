"""program: split, arrange, tile and fuse keep the set. The kernels that are emitted, read back and proved equal for
every length (``confirm``); and, with no proof, their tiles walked one by one at one length."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from ...compiler import bruteforce
from ...compiler.lowering.lower import lower
from ...compiler.lowering.runnable import refuse_open, refuse_tables
from ...compiler.passes.choices import readable
from ...compiler.passes.count import bounds, tile_count
from ...compiler.passes.program import Order, Program, Sweep, Term, Tile
from ...compiler.pattern import Pattern, Plan
from ...compiler.relations.integer import evaluate
from ...patterns_dsl.diagnostics import codes
from ...patterns_dsl.diagnostics.diagnostic import PatternError
from .property import Example, Undecided, Violated, bounded, first_difference, places

MOST = 96
"""Tokens of an example."""


@dataclass(frozen=True)
class TiledExample(Example):
    tile: Tile = Tile(16, 16)  # noqa: RUF009 - a frozen value

    def described(self) -> dict[str, Any]:
        return {**super().described(), "tile": f"{self.tile.query} x {self.tile.key}"}


@st.composite
def _examples(draw: DrawFn, pattern: Pattern, fixed: Collection[str]) -> TiledExample:
    place = draw(places(pattern, fixed, MOST))
    tile = Tile(draw(st.sampled_from([16, 32, 128])), draw(st.sampled_from([16, 32, 128])))
    return TiledExample(place.pattern, place.n, place.nk, place.step, tile)


class Lowering:
    name = "program"
    share = 0.5

    def left_out(self, subject: Pattern | Plan) -> str:
        return uncompilable(subject, None)

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[TiledExample]:
        assert isinstance(subject, Pattern)
        return _examples(subject, fixed)

    def judge(self, example: TiledExample) -> None:
        direction = example.pattern.direction
        with bounded(), compilable():
            program = lower(example.body, direction, example.pattern.name, example.tile).program
            wanted = bruteforce.mask(example.body, direction, example.n, example.nk).astype(np.int64)
        for side in ("forward", "backward"):
            found = pair_counts(program, side, example.n, example.nk)
            if not np.array_equal(found, wanted):
                place = first_difference(found, wanted)
                raise Violated(f"the {side} kernels do not compute each pair of the pattern once: {place}")


def uncompilable(subject: Pattern | Plan, engine: str | None) -> str:
    """Why the engine does not run the pattern, or with None why one program alone cannot hold it; nothing where it
    does."""
    assert isinstance(subject, Pattern)
    bound = subject.bound
    try:
        refuse_open(bound.union)
        if engine is None:
            refuse_tables(bound.union)
        else:
            readable(bound.union, bound.direction, {}, tables=engine == "reference")
    except PatternError as error:
        return "; ".join(f"{one.code}: {one.message}" for one in error.diagnostics)
    return ""


@contextmanager
def compilable() -> Iterator[None]:
    """What is too complex to compile (P401) is Undecided."""
    try:
        yield
    except PatternError as error:
        if {one.code for one in error.diagnostics} != {codes.TOO_COMPLEX}:
            raise
        raise Undecided(error.diagnostics[0].message) from None


def pair_counts(program: Program, side: str, n: int, nk: int | None = None) -> NDArray[np.int64]:
    """[n, nk]: how often the kernels of a side, ``forward`` or ``backward``, compute each pair; ``nk`` of a cross
    program."""
    nk = n if nk is None else nk
    counts = np.zeros((n, nk), dtype=np.int64)
    for kernel in program.forward if side == "forward" else program.backward:
        for sweep in kernel.sweeps:
            if sweep.diagonal:
                _compute_diagonals(counts, program, sweep, side)
                continue
            for query_class in range(program.terms[sweep.term].query.classes):
                for query_tile, key_tile, masked in _visits(program, sweep, query_class, side, n, nk):
                    _compute(counts, program, sweep.term, query_class, query_tile, key_tile, masked=masked)
    return counts


def _visits(
    program: Program, sweep: Sweep, query_class: int, side: str, n: int, nk: int
) -> Iterator[tuple[int, int, bool]]:
    """(query tile, key tile, masked) of every tile that the ranges of a sweep visit for a class of queries."""
    term = program.terms[sweep.term]
    key_class = key_class_of(term, query_class)
    tile = term.tile or program.tile
    queries = tile_count(term.query, query_class, n, tile.query)
    keys = tile_count(term.key, key_class, nk, tile.key)
    for span in sweep.ranges:
        if side == "forward":
            for low, high in bounds(span, queries, query_class, keys, n, "I", nk).values():
                rows = range(queries)
                yield from ((at, other, span.masked) for at in rows for other in range(low[at], high[at]))
        else:
            for low, high in bounds(span, keys, key_class, queries, n, "J", nk).values():
                rows = range(keys)
                yield from ((other, at, span.masked) for at in rows for other in range(low[at], high[at]))


def _compute_diagonals(counts: NDArray[np.int64], program: Program, sweep: Sweep, side: str) -> None:
    """Add one for each pair that the diagonals of a sweep hold."""
    n, nk = counts.shape
    i, j = np.mgrid[:n, :nk]
    tiles = {"I": i // program.tile.query} if side == "forward" else {"J": j // program.tile.key}
    values = {**tiles, "c": 0, "T": 0, "n": n, "nq": n, "nk": nk}
    keep = evaluate(program.terms[sweep.term].keep, {"a": i, "b": j, "c": 0, "n": n, "nq": n, "nk": nk}, np)
    for span in sweep.ranges:
        for step in [0] if span.fan is None else range(evaluate(span.fan.first, {}), evaluate(span.fan.last, {})):
            low, high = (evaluate(end, {**values, "d": step}, np) for end in (span.lo, span.hi))
            counts += (low <= j - i) & (j - i < high) & (keep if span.masked else True)


def _compute(
    counts: NDArray[np.int64],
    program: Program,
    index: int,
    query_class: int,
    query_tile: int,
    key_tile: int,
    *,
    masked: bool,
) -> None:
    """Add one for each pair of a tile."""
    term, (n, nk) = program.terms[index], counts.shape
    tile = term.tile or program.tile
    a = query_tile * tile.query + np.arange(tile.query)[:, None]
    b = key_tile * tile.key + np.arange(tile.key)[None, :]
    i = tokens(term.query, query_class, a)
    j = tokens(term.key, key_class_of(term, query_class), b)
    keep: Any = (
        evaluate(term.keep, {"a": a, "b": b, "c": query_class, "n": n, "nq": n, "nk": nk}, np) if masked else True
    )
    rows, columns = np.nonzero((i < n) & (j < nk) & keep)
    np.add.at(counts, (i[rows, 0], j[0, columns]), 1)


def key_class_of(term: Term, query_class: int) -> int:
    """The class of the keys of a class of queries, as the definition of a term says (``passes/program.py``)."""
    return (term.turn.factor * query_class + term.turn.shift) % term.key.classes


def tokens(order: Order, cls: int, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tokens of a class at these ranks, as the definition of an order says (``passes/order.py``)."""
    period, rest = np.divmod(ranks, order.count)
    found = order.period * period + order.start + cls
    for extent, stride in order.digits or ((order.count, 1),):
        rest, digit = np.divmod(rest, extent)
        found = found + stride * digit
    return found
