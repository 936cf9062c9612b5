"""Of a program: after how many tokens all that it says begins anew, and from which length on its pairs at any length
are those at a shorter one, of which a middle part is repeated.

A grid says of its rows what it says of the rows before, but near the first and the last ones. What comes again in all
terms, and how near these ends are, is found once for a program (compiler/relations/differences.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import Order, Program, Sweep
from .....compiler.relations.differences import Counted, ends, farthest, lacking
from .....compiler.relations.integer import All, Binary, Compare, Const, Expr, Predicate, Var, substitute
from ..plan.periodic import Periodic
from ..planning.arranged import sweeps

LONGEST = 1 << 15
"""Tokens after which all begins anew, at most."""

LARGE, LONGEST_OF_LARGE = 128, 1 << 12
"""Ranks of blocks of several tiles; and tokens after which all begins anew where these do too, at most: for each place
of the last token in such a period another plan is made."""

MOST_STEPS = 4096
"""Of a fan."""


@lru_cache(maxsize=256)
def periodic(pinned: Pinned[Program]) -> Periodic | None:
    """None where something else is said of every length, or that is not seen."""
    program = pinned.program
    if program.cross or not sweeps(program) or any(sweep.diagonal for sweep in sweeps(program)):
        return None
    orders = {order for sweep in sweeps(program) for order in _orders(program, sweep)}
    tokens, more = math.lcm(*(order.period for order in orders)), 2
    while more > 1 and tokens <= LONGEST:
        more = math.lcm(*(_lacking(program, sweep, tokens) for sweep in sweeps(program)))
        tokens *= more
    if tokens > LONGEST:
        return None
    beside = max(-(-(order.start + order.classes) // tokens) for order in orders)
    for sweep in sweeps(program):
        if (counted := _counted(program, sweep, tokens)) is None:
            return None
        found = farthest(_asked(program, sweep), counted)
        if found is None:
            return None
        beside = max(beside, found)
    return Periodic(tokens, beside)


def of_large_tiles(known: Periodic, program: Program) -> Periodic | None:
    """So many periods as one that blocks of ``LARGE`` ranks come again too; None where that is very long."""
    orders = {order for sweep in sweeps(program) for order in _orders(program, sweep)}
    times = math.lcm(*(LARGE // math.gcd(LARGE, known.ranks(order)) for order in orders))
    return replace(known, tokens=times * known.tokens) if times * known.tokens <= LONGEST_OF_LARGE else None


def _orders(program: Program, sweep: Sweep) -> tuple[Order, Order]:
    term = program.terms[sweep.term]
    return term.query, term.key


def _lacking(program: Program, sweep: Sweep, tokens: int) -> int:
    """By what a period of so many tokens must be multiplied: tiles, and all that is divided by, must divide it."""
    found = Periodic(tokens, 0)
    tile, (query, key) = program.tile_of(sweep), _orders(program, sweep)
    sizes = (tile.query, found.ranks(query)), (tile.key, found.ranks(key))
    more = math.lcm(*(size // math.gcd(size, ranks) for size, ranks in sizes))
    counted = _ranks(program, sweep, tokens)
    return more if more > 1 else lacking(_asked(program, sweep), counted | {"d": Counted("", 0, 0, 0)})


def _ranks(program: Program, sweep: Sweep, tokens: int) -> dict[str, Counted]:
    """The names of a sweep but for the step of a fan."""
    found, tile, (query, key) = Periodic(tokens, 0), program.tile_of(sweep), _orders(program, sweep)
    rows, keys = found.ranks(query), found.ranks(key)
    late = -(-(key.start + key.classes) // key.period) * key.count  # ranks that none of the first tokens has
    return {
        "a": Counted("A", rows, 0, rows - 1),
        "b": Counted("B", keys, 0, keys - 1),
        "n": Counted("N", tokens, 0, tokens - 1),
        "T": Counted("N", keys // tile.key, -(late // tile.key), keys // tile.key),
        "c": Counted("", 0, 0, query.classes - 1),
    }


def _counted(program: Program, sweep: Sweep, tokens: int) -> dict[str, Counted] | None:
    """All names of a sweep. None where the steps of a fan have no end, or are too many."""
    counted, first, last = _ranks(program, sweep, tokens), 0, 0
    for span in sweep.ranges:
        if span.fan is not None:
            low, high = (_of_ranks(program, sweep, end) for end in (span.fan.first, span.fan.last))
            least, most = ends(low, counted)[0], ends(high, counted)[1]
            if least is None or most is None:
                return None
            first, last = min(first, least), max(last, most)
    return counted | {"d": Counted("", 0, first, last)} if last - first <= MOST_STEPS else None


def _asked(program: Program, sweep: Sweep) -> Iterator[Predicate]:
    """Which pairs are in the tiles of each range, and kept."""
    term, size = program.terms[sweep.term], Const(program.tile_of(sweep).key)
    for span in sweep.ranges:
        sides: list[tuple[Expr, Expr, Expr]] = [(span.lo, span.hi, Binary("//", Var("b"), size))]
        if span.fan is not None:
            sides.append((span.fan.first, span.fan.last, Var("d")))
        parts: list[Predicate] = [term.keep] if span.masked else []
        for low, high, at in sides:
            first, last = (_of_ranks(program, sweep, end) for end in (low, high))
            parts += [Compare("<=", first, at), Compare("<", at, last)]
        yield All(tuple(parts))


def _of_ranks(program: Program, sweep: Sweep, end: Expr) -> Expr:
    """The end of a range by the rank of the query."""
    found: Expr = substitute(end, {"I": Binary("//", Var("a"), Const(program.tile_of(sweep).query))})
    return found
