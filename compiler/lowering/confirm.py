"""confirm: read the emitted program back as a set of pairs, and prove that it is the pattern.

What is read is the text of the generated kernels, not the values that the passes handed to each other: a wrong range,
mask, order or a lost loop, wherever it came from, makes the sets differ. Proved for every length at once:

    1. each kernel visits every pair of its terms exactly once: the tiles or diagonals of a sweep's ranges cover the
       term's mask, do not meet, and where a range is unmasked all of its pairs belong to it; forward and backward;
    2. the terms, mapped back to tokens, are disjoint and their union is the pattern.

The softmax arithmetic inside a tile is not part of this proof; the tests compare it with the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ..kernels.read.program import read
from ..passes.program import Kernel, Program, Range
from ..relations.isl.context import budget
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import Relation
from .ranks import Ranks, all_visited, ranges_of, tile_of

_OPERATIONS = 20_000_000


class Unconfirmed(RuntimeError):
    """The emitted program is not the pattern: a bug in the compiler, never in the pattern."""


def confirm(source: str, meaning: Relation) -> Program:
    """The program of the kernels, as it was read and proved. Raises Unconfirmed, with a pair that shows the difference,
    unless they compute exactly ``meaning``; BudgetExceeded where that is too hard to decide."""
    program = read(source)
    with budget(_OPERATIONS):
        ranks = Ranks(program, meaning.pairs)
        stated = [_stated(ranks, index) for index in range(len(program.terms))]
        for side, kernels in (("forward", program.forward), ("backward", program.backward)):
            _visited_once(ranks, stated, kernels, side)
        _partition(ranks, stated, meaning)
    return program


def _stated(ranks: Ranks, index: int) -> IntegerSet:
    """The pairs of ranks of a term: those of its mask, or, where no range is masked, those that forward visits."""
    program = ranks.program
    if any(span.masked for span in ranges_of((*program.forward, *program.backward), index)):
        return ranks.kept(index)
    visited = ranks.where(index, "0 = 1")
    for span in ranges_of(program.forward, index):
        visited = visited | ranks.visits(index, span, "forward").pairs.for_some("T")
    return visited


def _partition(ranks: Ranks, stated: list[IntegerSet], meaning: Relation) -> None:
    """The terms are disjoint and their union is the pattern."""
    pattern = ranks.tokens(meaning.pairs)
    tokens = [ranks.as_tokens(index, pairs) for index, pairs in enumerate(stated)]
    for (one, left), (two, right) in combinations(enumerate(tokens), 2):
        _empty(left & right, ranks, f"terms {one} and {two} share a pair")
    parts, order = [pattern], tokens
    if len(pieces := pattern.disjuncts()) < len(tokens):
        # Few terms have pairs of one piece: of all together, each would be taken away from what the others have.
        parts, order = [*pieces], sorted(tokens, key=lambda term: len(term.disjuncts()))
    for index, term in enumerate(tokens):
        _empty(_without(term, parts), ranks, f"term {index} computes a pair that the pattern does not have")
    for part in parts:
        _empty(_without(part, order), ranks, "no term computes a pair of the pattern")


def _without(pairs: IntegerSet, others: Sequence[IntegerSet]) -> IntegerSet:
    """The pairs that are in none of some sets."""
    for each in others:
        if pairs.empty:
            break
        if not pairs.disjoint(each):
            pairs = pairs - each
    return pairs


def _empty(pairs: IntegerSet, ranks: Ranks, complaint: str) -> None:
    if not pairs.empty:
        raise Unconfirmed(f"{complaint}: {ranks.smallest(pairs)}")


def _visited_once(ranks: Ranks, stated: list[IntegerSet], kernels: tuple[Kernel, ...], side: str) -> None:
    """Each term is swept by one kernel of its own order, whose ranges partition it."""
    program = ranks.program
    swept = sorted(sweep.term for kernel in kernels for sweep in kernel.sweeps)
    if swept != list(range(len(program.terms))):
        raise Unconfirmed(f"the {side} kernels sweep the terms {swept} of {len(program.terms)}")
    for kernel in kernels:
        if not kernel.order.one_to_one:
            raise Unconfirmed(f"a {side} kernel runs in an order that gives a token two ranks")
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            if kernel.order != (term.query if side == "forward" else term.key):
                raise Unconfirmed(f"a {side} kernel runs term {sweep.term} in an order that is not its own")
            _ranges_partition(ranks, sweep.term, stated[sweep.term], sweep.ranges, side)


def _ranges_partition(ranks: Ranks, index: int, stated: IntegerSet, ranges: tuple[Range, ...], side: str) -> None:
    where = f"{side}, term {index}"
    found = [ranks.visits(index, span, side) for span in ranges]
    for span, visits in zip(ranges, found, strict=True):
        if not span.masked and not visits.pairs <= stated:
            raise Unconfirmed(f"{where}: an unmasked range computes a pair that is not in the term")
        if visits.twice:
            raise Unconfirmed(f"{where}: two steps of a range visit the same tile")
    if any(not (one.pairs & two.pairs).disjoint(stated) for one, two in combinations(found, 2)):
        raise Unconfirmed(f"{where}: two ranges visit the same pair")
    # Every tile that holds a token lies below T; nothing else is assumed of T. Diagonals do not ask for it.
    tile = tile_of(ranks.program, ranks.program.terms[index])
    rank, size = ("b", tile.key) if side == "forward" else ("a", tile.query)
    left = stated & ranks.where(index, f"floor(v_{rank} / {size}) < v_T")
    if not all_visited(left, found):
        raise Unconfirmed(f"{where}: no range visits some pair of the term")
