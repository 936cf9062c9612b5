"""What a term asks of the length: the largest parts of its mask and of its ranges that are about the length alone.

A comparison of the length with a rank is such a question too, where a quotient of the length is all that it asks for:
``60 * (a // 60) + 60 >= n`` asks whether plane ``a // 60`` is the last. Beside a condition on the place of a rank
within its plane, ``a % 60 == 9``, the rank itself is told by its plane: ``a + 51 >= n`` asks for no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from .....compiler.passes.program import NATURAL, Range, Term
from .....compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, variables
from .....compiler.relations.linear import ONE, Sum, added, at_least_0, linear, written

_LENGTHS = frozenset({"n", "T"})

_Question: TypeAlias = Expr | Predicate

_Places: TypeAlias = Mapping[tuple[Var, int], tuple[int, int]]
"""The least and the greatest remainder of a rank by a number."""


def of_mask(term: Term) -> Iterator[_Question]:
    """What the mask of a term asks. Ranks of natural orders are tokens, which exist: they are less than n."""
    tokens = [Var(name) for name, order in (("a", term.query), ("b", term.key)) if order == NATURAL]
    yield from _Questions(tokens).of(term.keep, {})


def of_range(span: Range) -> Iterator[_Question]:
    asked = _Questions(())
    for end in () if span.fan is None else (span.fan.first, span.fan.last):
        yield from asked.of(end, {})
    for end in (span.lo, span.hi):
        yield from asked.of(end, {}) if span.diagonal else asked.beside_clip(end)


class _Questions:
    def __init__(self, tokens: Sequence[Var]) -> None:
        self._tokens = tokens

    def of(self, node: _Question, places: _Places) -> Iterator[_Question]:
        names = variables(node)
        if not names & _LENGTHS:
            return
        if names <= _LENGTHS:
            yield node
            return
        match node:
            case Compare() if self._exists(node):
                return
            case Compare() if (quotient := _quotient(node, places)) is not None:
                yield quotient
            case Binary("+" | "-"):
                for each in _parts(node):
                    yield from self.of(each, places)
            case Compare(_, left, right) | Binary(_, left, right):
                yield from self.of(left, places)
                yield from self.of(right, places)
            case Select(condition, then, otherwise):
                for part in (condition, then, otherwise):
                    yield from self.of(part, places)
            case All(parts):
                # Where one part is false, all of them are, whatever the others ask.
                within = _within(places, parts)
                for part in parts:
                    yield from self.of(part, within)
            case AnyOf(parts):
                for part in parts:
                    yield from self.of(part, places)

    def beside_clip(self, end: Expr) -> Iterator[_Question]:
        """What min(end, T) asks, where T is no more than what the tiles end at."""
        match end:
            case Var(name="T"):
                return
            case Binary(operator="min" | "max", left=left, right=right):
                yield from self.beside_clip(left)
                yield from self.beside_clip(right)
            case Select(condition=condition, then=then, otherwise=otherwise):
                yield from self.of(condition, {})
                yield from self.beside_clip(then)
                yield from self.beside_clip(otherwise)
            case _:
                yield from self.of(end, {})

    def _exists(self, comparison: Compare) -> bool:
        """Whether it holds of every token that exists: k*(n - a) + r >= 0, where n - a is 1 or more."""
        sums = at_least_0(comparison)
        if sums is None:
            return False
        by, rest = sums.pop(Var("n"), 0), sums.pop(ONE, 0)
        return by > 0 and by + rest >= 0 and len(sums) == 1 and any(sums.get(rank) == -by for rank in self._tokens)


def _parts(total: Expr) -> list[Expr]:
    """What is added up in a sum, all that is about the length alone as one; and of a quotient of the length whole ones
    told apart: (7*n + 3) // 8 is n + (3 - n) // 8, and n may cancel."""
    lengths: Sum = {}
    others: list[Expr] = []
    for part, factor in linear(total).items():
        if not variables(part) <= _LENGTHS:
            others.append(part)
            continue
        match part:
            case Binary("//", inner, Const(step)) if set(sums := linear(inner)) <= {Var("n"), ONE}:
                whole = {each: (times + step // 2) // step for each, times in sums.items() if each != ONE}
                rest = written(added(sums, whole, -step))
                lengths = added(added(lengths, whole, factor), {Binary("//", rest, Const(step)): 1}, factor)
            case _:
                lengths = added(lengths, {part: factor})
    lengths.pop(ONE, None)
    return [*others, *(lengths if len(lengths) == 1 else (written(lengths),))]


def _within(places: _Places, parts: Sequence[Predicate]) -> _Places:
    """Places of ranks where these parts hold too."""
    found = dict(places)
    for part in parts:
        sums = at_least_0(part) if isinstance(part, Compare) else None
        if sums is None or (place := _place(sums)) is None:
            continue
        at, low, high = place
        known = found.get(at, (0, at[1] - 1))
        found[at] = max(known[0], low), min(known[1], high)
    return found


def _place(sums: Sum) -> tuple[tuple[Var, int], int, int] | None:
    """((rank, modulus), least, greatest remainder) where a sum is 0 or more that says so, or None."""
    rest = sums.get(ONE, 0)
    match [(part, factor) for part, factor in sums.items() if part != ONE]:
        case [(Binary("%", inner, Const(modulus)), 1 | -1 as sign)]:
            moved = linear(inner)
            shift = moved.pop(ONE, 0)
            match [*moved.items()]:
                case [(Var() as rank, 1)] if shift == 0:
                    pass
                case [(Var() as rank, 1)] if sign < 0 and rest == 0:  # the one remainder that is 0 when it is moved
                    return (rank, modulus), -shift % modulus, -shift % modulus
                case _:
                    return None
        case [(Var() as rank, sign), (Binary("//", inner, Const(modulus)), by)] | [
            (Binary("//", inner, Const(modulus)), by),
            (Var() as rank, sign),
        ] if abs(sign) == 1 and inner == rank and by == -sign * modulus:
            pass
        case _:
            return None
    return (rank, modulus), *((-rest, modulus - 1) if sign > 0 else (0, rest))


def _by_places(sums: Sum, places: _Places) -> Sum:
    """The same sum, in which ranks, and quotients of them, that their place tells are told by coarser quotients:
    a // 10 is 6 * (a // 60) + 5 where a % 60 is 50 or more."""
    for (rank, modulus), (low, high) in sorted(places.items(), key=lambda place: -place[0][1]):
        told: Sum = {}
        for part, factor in sums.items():
            by = _divisor(part, rank)
            if by is not None and by < modulus and modulus % by == 0 and low // by == high // by:
                quotient = Binary("//", rank, Const(modulus))
                told = added(told, {quotient: factor * (modulus // by), ONE: factor * (low // by)})
            else:
                told = added(told, {part: factor})
        sums = told
    return sums


def _divisor(part: Expr, rank: Var) -> int | None:
    """What a rank is divided by in a part; None where the part is no quotient of it."""
    match part:
        case Binary("//", inner, Const(by)) if inner == rank:
            return by
    return 1 if part == rank else None


def _quotient(comparison: Compare, places: _Places) -> Expr | None:
    """k*n + r >= m*x, of an integer x that says nothing of the length, is floor((k*n + r) / m) >= x: so it asks for
    that quotient alone. None where the comparison has no such form with m > 1."""
    sums = at_least_0(comparison)
    if sums is None:
        return None
    sums = _by_places(sums, places)
    by, rest = sums.pop(Var("n"), 0), sums.pop(ONE, 0)
    step = math.gcd(*sums.values())
    if not by or step < 2 or any(variables(part) & _LENGTHS for part in sums):
        return None
    return Binary("//", Binary("+", Binary("*", Const(by), Var("n")), Const(rest)), Const(step))


def quotients(node: _Question) -> Iterator[tuple[int, int, int]]:
    """(k, r, m) of each quotient floor((k*n + r) / m) in what is asked."""
    match node:
        case Binary("//", left, Const(step)):
            sums = linear(left)
            by, rest = sums.pop(Var("n"), 0), sums.pop(ONE, 0)
            if by and not sums:
                yield by, rest, step
        case Binary(_, left, right) | Compare(_, left, right):
            yield from quotients(left)
            yield from quotients(right)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from quotients(part)


def last(quotient: tuple[int, int, int], n: int) -> int:
    """The last length at which a quotient is what it is at n."""
    by, rest, step = quotient
    value = (by * n + rest) // step
    if by > 0:
        return (step * (value + 1) - rest - 1) // by
    return (step * value - rest) // by  # by*n + rest >= step*value
