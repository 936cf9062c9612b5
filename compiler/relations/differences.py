"""How far apart ranks tell something: what periods of a relation leave to be looked at.

Ranks and the length are told by their period and their place in it: a = p*A + r, b = q*B + s, n = m*N + t. Where
periods are multiples of all that is divided by, a comparison is one of sums of A, B and N, for each (r, s, t) with a
constant. One that is of the difference of two of them, or of one with 0, says the same of all differences that are
farther from 0 than its constant. Where all are, nothing is told of 0, A, B and N but how far apart they are, up to the
farthest constant F. Any order of these four has three gaps: of a sequence of 3*F periods or more, those of more than F
may be drawn out or shortened, and every comparison holds as before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np

from .decided import bounds
from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, evaluate, variables
from .linear import Sum, at_least_0, linear, written

MOST_CASES = 64
"""Of choices within a sum; more are not looked at."""

MOST_PLACES = 1 << 18
"""So many places of a period, or pairs of them, are looked at one by one; of more it is told within bounds."""

BEYOND = 2
"""Ranks may be so many periods farther than the length."""


class Counted(NamedTuple):
    """A variable as ``period`` times the number of its period, plus a place. ``of``: which number, "A", "B" or "N"; a
    ``period`` of 0: it is a place alone."""

    of: str
    period: int
    least: int
    most: int  # place


def farthest(nodes: Iterable[Predicate], counted: Mapping[str, Counted]) -> int | None:
    """The constant F; None where some comparison is of more than two, or what it divides by does not divide a period
    (``lacking``)."""
    found = _Comparisons(counted, nodes)
    return found.farthest if found.told and found.lacking == 1 else None


def lacking(nodes: Iterable[Predicate], counted: Mapping[str, Counted]) -> int:
    """By what all periods must be multiplied, at least, so that what is divided by divides them."""
    return _Comparisons(counted, nodes).lacking


def ends(expr: Expr, counted: Mapping[str, Counted]) -> tuple[int | None, int | None]:
    """The least and the greatest value at any length; None where there is none, or it is not seen."""
    found = _Comparisons(counted)
    low, high = found.least(expr), found.least(Binary("-", Const(0), expr))
    return low, None if high is None else -high


_Apart: TypeAlias = Mapping[tuple[str, str], int]
"""How much greater the first of two numbers is than the second, at most; "" is 0."""

_ANYWHERE: _Apart = {("", "A"): 0, ("", "B"): 0, ("", "N"): 0, ("A", "N"): BEYOND, ("B", "N"): BEYOND}


class _Comparisons:
    def __init__(self, counted: Mapping[str, Counted], nodes: Iterable[Predicate] = ()) -> None:
        self._counted = counted
        self._boxes = {name: (np.int64(each.least), np.int64(each.most)) for name, each in counted.items()}
        self._cases: dict[int, tuple[Expr, list[Expr]]] = {}  # by identity, kept alive beside
        self._told: dict[Expr, tuple[dict[str, int], int, int] | None] = {}
        self.told, self.lacking, self.farthest = True, 1, 0
        for node in nodes:
            self.look(node)

    def look(self, node: Predicate, apart: _Apart = _ANYWHERE) -> None:
        """Where no numbers are farther ``apart``."""
        match node:
            case Compare(_, left, right):
                for each in self._plain(Binary("-", left, right)):
                    self._compared(each, apart)
            case All(parts):
                apart = self._nearer(apart, parts)
                for part in parts:
                    self.look(part, apart)
            case AnyOf(parts):
                for part in parts:
                    self.look(part, apart)

    def _nearer(self, apart: _Apart, parts: Iterable[Predicate]) -> _Apart:
        """Where all parts hold: what compares two numbers says how far apart they are."""
        found = dict(apart)
        for part in parts:
            if not isinstance(part, Compare) or any(self._plain(side) != [side] for side in (part.left, part.right)):
                continue
            if (sums := at_least_0(part)) is None or (known := self._sum(written(sums))) is None:
                continue
            grown, _, high = known
            if grown and _of_two(grown):
                more, less = (next((of for of in grown if sign * grown[of] > 0), "") for sign in (1, -1))
                by = abs(next(iter(grown.values())))
                found[less, more] = min(found.get((less, more), high // by), high // by)
        for of, one, two in product(("", "A", "B", "N"), repeat=3):  # the middle first: all shortest ways
            if (one, of) in found and (of, two) in found:
                way = found[one, of] + found[of, two]
                found[one, two] = min(found.get((one, two), way), way)
        return found

    def _plain(self, expr: Expr) -> list[Expr]:
        """Its cases: expressions without a choice, of which it is one; what chooses between them is looked at."""
        if (known := self._cases.get(id(expr))) is None:
            known = self._cases[id(expr)] = expr, list(dict.fromkeys(self._of_choices(expr)))
        return known[1]

    def _of_choices(self, expr: Expr) -> list[Expr]:
        match expr:
            case Select(condition, then, otherwise):
                self.look(condition)
                return [*self._plain(then), *self._plain(otherwise)]
            case Binary("min" | "max", left, right):
                self.look(Compare("<=", left, right))
                return [*self._plain(left), *self._plain(right)]
            case Binary(operator, left, right):
                one, two = self._plain(left), self._plain(right)
                if len(one) * len(two) > MOST_CASES:
                    self.told = False
                    return []
                return (
                    [expr] if [left] == one and [right] == two else [Binary(operator, x, y) for x in one for y in two]
                )
        return [expr]

    def _compared(self, difference: Expr, apart: _Apart) -> None:
        """Of what is compared with 0."""
        if (known := self._sum(written(linear(difference)))) is None:
            return
        grown, low, high = known
        if not _of_two(grown):
            grown, low, high = self._of_others(grown, low, high, apart)
        if not _of_two(grown):
            self.told = False
        elif grown:  # what does not grow is told by places alone
            by = abs(next(iter(grown.values())))
            self.farthest = max(self.farthest, -(-max(-low, high, 0) // by))

    def _of_others(self, grown: dict[str, int], low: int, high: int, apart: _Apart) -> tuple[dict[str, int], int, int]:
        """The same by fewer numbers: each by 0, or by one before it, where they are near each other."""
        told: dict[str, int] = {}
        for of, by in grown.items():
            near = (one for one in ("", *told) if (one, of) in apart and (of, one) in apart)
            other = next(near, None)
            if other is None:
                told[of] = told.get(of, 0) + by
                continue
            ends = by * -apart[other, of], by * apart[of, other]
            low, high = low + min(ends), high + max(ends)
            self.farthest = max(self.farthest, abs(apart[other, of]), abs(apart[of, other]))
            told[other] = told.get(other, 0) + by
        return {of: by for of, by in told.items() if of and by}, low, high

    def _sum(self, difference: Expr) -> tuple[dict[str, int], int, int] | None:
        """By how much it grows with each number, and the least and the greatest where all are 0; None where what is
        divided by does not divide that."""
        if difference not in self._told:
            grown = self._grown(difference)
            self._told[difference] = None if grown is None else (grown, *self._rest(linear(difference)))
        return self._told[difference]

    def _grown(self, expr: Expr) -> dict[str, int] | None:
        """By how much it grows with each number; None where what is divided by does not divide that."""
        match expr:
            case Const():
                return {}
            case Var(name):
                each = self._counted[name]
                return {each.of: each.period} if each.period else {}
            case Binary("+" | "-" as operator, left, right):
                one, two = self._grown(left), self._grown(right)
                return None if one is None or two is None else _added(one, two, 1 if operator == "+" else -1)
            case Binary("*", Const(factor), other) | Binary("*", other, Const(factor)):
                grown = self._grown(other)
                return None if grown is None else _added({}, grown, factor)
            case Binary("//" | "%" as operator, left, Const(by)):
                if (grown := self._grown(left)) is None:
                    return None
                more = math.lcm(*(by // math.gcd(by, each) for each in grown.values()))
                if more > 1:
                    self.lacking = math.lcm(self.lacking, more)
                    return None
                return {of: each // by for of, each in grown.items()} if operator == "//" else {}
        self.told = False
        return None

    def _rest(self, sums: Sum) -> tuple[int, int]:
        """The least and the greatest of a sum over the places of all variables, where their numbers are 0."""
        groups: dict[frozenset[str], Sum] = {}
        for part, factor in sums.items():
            groups.setdefault(variables(part), {})[part] = factor
        found = [self._within(names, written(group)) for names, group in groups.items()]
        return sum(low for low, _ in found), sum(high for _, high in found)

    def _within(self, names: frozenset[str], expr: Expr) -> tuple[int, int]:
        sizes = [self._counted[name].most - self._counted[name].least + 1 for name in sorted(names)]
        if math.prod(sizes) > MOST_PLACES:
            low, high = bounds(expr, self._boxes)
            return int(np.min(low)), int(np.max(high))
        axes = np.ix_(*(np.arange(self._counted[name].least, self._counted[name].most + 1) for name in sorted(names)))
        value = np.asarray(evaluate(expr, dict(zip(sorted(names), axes, strict=True)), np))
        return int(value.min()), int(value.max())

    def least(self, expr: Expr) -> int | None:
        match expr:
            case Binary("-", Const(0), Binary("min" | "max" as which, left, right)):
                other = "max" if which == "min" else "min"
                return self.least(Binary(other, Binary("-", Const(0), left), Binary("-", Const(0), right)))
            case Binary("-", Const(0), Select(condition, then, otherwise)):
                return self.least(Select(condition, Binary("-", Const(0), then), Binary("-", Const(0), otherwise)))
            case Binary("max", left, right):
                one, two = self.least(left), self.least(right)
                return max((each for each in (one, two) if each is not None), default=None)
            case Binary("min", left, right) | Select(_, left, right):
                one, two = self.least(left), self.least(right)
                return None if one is None or two is None else min(one, two)
        found = [self._least(each) for each in self._plain(expr)]
        known = [each for each in found if each is not None]
        return min(known) if len(known) == len(found) else None

    def _least(self, expr: Expr) -> int | None:
        """Of an expression without choices: what falls with a rank must grow as fast with the length."""
        if (grown := self._grown(expr)) is None:
            return None
        falls = -sum(min(grown.get(rank, 0), 0) for rank in "AB")
        if grown.get("N", 0) < falls:
            return None
        return self._rest(linear(expr))[0] - BEYOND * falls


def _of_two(grown: dict[str, int]) -> bool:
    """Whether what grows so is no more than a difference: of two numbers, or of one and 0."""
    return len(grown) <= 1 or (len(grown) == 2 and sum(grown.values()) == 0)


def _added(one: dict[str, int], two: dict[str, int], times: int) -> dict[str, int]:
    total = dict(one)
    for of, grown in two.items():
        total[of] = total.get(of, 0) + times * grown
    return {of: grown for of, grown in total.items() if grown}
