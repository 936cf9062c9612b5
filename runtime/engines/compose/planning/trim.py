"""The length that is planned in place of a shorter one: what a new length costs where it is near one that was planned.

Most patterns say nothing of the length: what they leave of n tokens is what they leave of the first n of N. Then so do
the blocks of a plan: rows and keys from n on are cut off. A plan is made for few lengths, the *milestones*, at most a
quarter apart, and masks are shared by the lengths between them (longer.py cuts).

Others ask for the length: which block of 64 tokens is the last, whether there are three tiles. What they ask has the
same answers at many lengths, and between two of these the same holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .....compiler.passes.count import tile_count
from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import NATURAL, Order, Program, Range
from .....compiler.relations.equal_parts import sharing
from .....compiler.relations.integer import (
    All,
    AnyOf,
    Binary,
    Compare,
    Const,
    Expr,
    Predicate,
    Select,
    Var,
    evaluate,
    variables,
)
from .....compiler.relations.linear import ONE, linear
from .pairs import PairTable

FEWEST = 32
"""Milestones are multiples of this."""

_LENGTHS = frozenset({"n", "T"})

_ROUND = (64, 32, 16)
"""Where answers change within what divides a length, one of these may still be planned."""


def milestone(program: Program | PairTable, n: int, nk: int) -> int:
    """The length that is planned for n tokens: n itself where the pattern says something else of every length."""
    if program.cross or n != nk or n == 0:
        return n
    step = max(FEWEST, 1 << max(0, (n - 1).bit_length() - 3))
    longer = -(-n // step) * step
    if isinstance(program, PairTable):
        return longer if program.any_length else n
    asked = _asked(Pinned(program))
    if not asked:
        return n if asked is None else longer
    answers = [each.answers(n) for each in asked]
    lengths = longer, min(each.last(n) for each in asked), *(-(-n // size) * size for size in _ROUND)
    for length in lengths:
        if n < length <= longer and all(each.answers(length) == own for each, own in zip(asked, answers, strict=True)):
            return length
    return n


def keeps_to_prefixes(program: Program | PairTable) -> bool:
    """Whether the pairs at n are those at any longer length between the first n tokens, as far as is seen at once."""
    if isinstance(program, PairTable):
        return program.any_length
    return _asked(Pinned(program)) == ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What terms ask of the length: integers and truth values over n and T, which is the number of tiles of ``size``
    ranks of a key order; None: over n alone. Where the answers are the same at two lengths, the pairs at the shorter
    one are those at the longer one between tokens that are there."""

    questions: tuple[Expr | Predicate, ...]
    quotients: tuple[tuple[int, int, int], ...]  # that occur in these
    key: Order | None
    size: int

    def answers(self, n: int) -> list[object]:
        values, known = {"n": n}, dict[int, Any]()
        if self.key is not None:
            least, most = (tile_count(self.key, cls, n, self.size) for cls in (self.key.classes - 1, 0))
            if least < most:  # which class has how many is not looked at
                return [n]
            values["T"] = most
        return [evaluate(each, values, None, known) for each in self.questions]

    def last(self, n: int) -> int:
        """The last length at which no quotient of the length has changed, and of a natural order no number of tiles."""
        found = [_last(each, n) for each in self.quotients]
        if self.key == NATURAL:
            found.append(-(-n // self.size) * self.size)
        return min(found, default=n << 1)


@lru_cache(maxsize=256)
def _asked(pinned: Pinned[Program]) -> tuple[_Asked, ...] | None:
    """Nothing where the pattern says nothing of the length. None: it says something else of every length."""
    program = pinned.program
    # Of a tiled order the ranks that exist are no prefix.
    if any(term.query.tiled or term.key.tiled for term in program.terms):
        return None
    found: dict[tuple[Order | None, int], dict[Expr | Predicate, None]] = {}
    for kernel in program.forward:
        for sweep in kernel.sweeps:
            term, size = program.terms[sweep.term], program.tile_of(sweep).key
            for each in (*_questions(term.keep), *(each for span in sweep.ranges for each in _of_range(span))):
                if each == Var("n"):
                    return None
                found.setdefault((term.key, size) if "T" in variables(each) else (None, 0), {})[each] = None
    return tuple(
        _Asked(sharing(tuple(questions)), tuple({each for one in questions for each in _quotients(one)}), *where)
        for where, questions in found.items()
    )


def _of_range(span: Range) -> Iterator[Expr | Predicate]:
    for end in () if span.fan is None else (span.fan.first, span.fan.last):
        yield from _questions(end)
    for end in (span.lo, span.hi):
        yield from _questions(end) if span.diagonal else _beside_clip(end)


def _beside_clip(end: Expr) -> Iterator[Expr | Predicate]:
    """What min(end, T) asks, where T is no more than what the tiles end at."""
    match end:
        case Var(name="T"):
            return
        case Binary(operator="min" | "max", left=left, right=right):
            yield from _beside_clip(left)
            yield from _beside_clip(right)
        case Select(condition=condition, then=then, otherwise=otherwise):
            yield from _questions(condition)
            yield from _beside_clip(then)
            yield from _beside_clip(otherwise)
        case _:
            yield from _questions(end)


def _questions(node: Expr | Predicate) -> Iterator[Expr | Predicate]:
    """The largest parts that are about the length alone."""
    names = variables(node)
    if not names & _LENGTHS:
        return
    if names <= _LENGTHS:
        yield node
        return
    match node:
        case Compare() if (quotient := _quotient(node)) is not None:
            yield quotient
        case Compare(_, left, right) | Binary(_, left, right):
            yield from _questions(left)
            yield from _questions(right)
        case Select(condition, then, otherwise):
            for part in (condition, then, otherwise):
                yield from _questions(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _questions(part)


def _quotient(comparison: Compare) -> Expr | None:
    """k*n + r >= m*x, of an integer x that says nothing of the length, is floor((k*n + r) / m) >= x: so it asks for
    that quotient alone. None where the comparison has no such form with m > 1."""
    sums = linear(Binary("-", comparison.left, comparison.right))
    by, rest = sums.pop(Var("n"), 0), sums.pop(ONE, 0)
    step = math.gcd(*sums.values())
    if not by or step < 2 or any(variables(part) & _LENGTHS for part in sums):
        return None
    match comparison.operator:
        case ">=" | ">":
            rest -= comparison.operator == ">"
        case "<=" | "<":
            by, rest = -by, -rest - (comparison.operator == "<")
        case _:
            return None
    return Binary("//", Binary("+", Binary("*", Const(by), Var("n")), Const(rest)), Const(step))


def _quotients(node: Expr | Predicate) -> Iterator[tuple[int, int, int]]:
    """(k, r, m) of each quotient floor((k*n + r) / m) in what is asked."""
    match node:
        case Binary("//", left, Const(step)):
            sums = linear(left)
            by, rest = sums.pop(Var("n"), 0), sums.pop(ONE, 0)
            if by and not sums:
                yield by, rest, step
        case Binary(_, left, right) | Compare(_, left, right):
            yield from _quotients(left)
            yield from _quotients(right)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _quotients(part)


def _last(quotient: tuple[int, int, int], n: int) -> int:
    """The last length at which a quotient is what it is at n."""
    by, rest, step = quotient
    value = (by * n + rest) // step
    if by > 0:
        return (step * (value + 1) - rest - 1) // by
    return (step * value - rest) // by  # by*n + rest >= step*value
