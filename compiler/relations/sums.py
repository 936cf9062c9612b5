"""Expressions as sums: so many times each term. What cancels is gone, and quotients are told by digits or digits by
quotients, whichever says more.

    at_distance   b <= a + 3 and (b - a) % 8 == 0   ->   x <= 3 and x % 8 == 0   where x = b - a
    in_digits     a - a // 4 * 4 + a // 64 * 60     ->   a % 4 + 60 * (a // 64)
    in_quotients  a % 4                             ->   a - 4 * (a // 4)

Bounds of ``a`` and ``a // 4`` do not tell that one is four times the other; those of a digit are its own. But how a
digit changes from tile to tile is seen in the quotients alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .integer import Binary, Compare, Const, Expr, Predicate, Var, rebuilt, substitute
from .linear import ONE, Sum, added, beside_0, linear, written


def at_distance(predicate: Predicate) -> Predicate:
    """The predicate of a and the distance x that agrees with one of a and b where b = a + x."""
    return _rewritten(substitute(predicate, {"b": Binary("+", Var("a"), Var("x"))}), _Terms(quotients=False))


def in_quotients() -> Callable[[Predicate], Predicate]:
    """Writes predicates without remainders; of all that it is given, each part that is one object once."""
    terms = _Terms(quotients=True)
    return lambda predicate: _rewritten(predicate, terms)


def in_digits(predicate: Predicate) -> Predicate:
    """The predicate, where quotients of a rank are taken from one another, by its digits."""
    return _rewritten(predicate, _Digits(quotients=True))


def _rewritten(predicate: Predicate, terms: _Terms) -> Predicate:
    found: Predicate = terms.rewrite(predicate)
    return found


class _Terms:
    """Rewrites comparisons, each part that is one object once."""

    def __init__(self, *, quotients: bool) -> None:
        self._quotients = quotients
        # By identity; the keys are kept alive beside the values.
        self._known: dict[int, tuple[Any, Any]] = {}

    def rewrite(self, node: Any) -> Any:
        if (known := self._known.get(id(node))) is None:
            known = self._known[id(node)] = node, self._rewrite(node)
        return known[1]

    def _rewrite(self, node: Any) -> Any:
        match node:
            case Compare(operator, left, right):
                return beside_0(operator, self.arranged(self.sum(Binary("-", left, right))))
            case Binary("+" | "-" | "*" | "%" | "//"):
                return written(self.arranged(self.sum(node)))
            case _:
                return rebuilt(node, self.rewrite)

    def arranged(self, terms: Sum) -> Sum:
        return terms

    def sum(self, expr: Expr) -> Sum:
        found: Sum = {}
        for part, factor in linear(expr).items():
            found = added(found, self._part(part), factor)
        return found

    def _part(self, part: Expr) -> Sum:
        """A part that is no sum, rewritten; ``ONE`` is itself."""
        match part:
            case Binary("//", left, Const(1)):
                return self.sum(left)
            case Binary("//", left, Const(by)):
                match written(self.sum(left)):
                    case Binary("//", inner, Const(before)):  # floor(floor(x / p) / q) is floor(x / (p * q))
                        return {Binary("//", inner, Const(before * by)): 1}
                    case inner:
                        return {Binary("//", inner, Const(by)): 1}
            case Binary("%", left, Const(by)) if self._quotients:  # x - by * (x // by)
                return added(self.sum(left), self.sum(Binary("//", left, Const(by))), -by)
            case Binary("%", left, by):
                return {Binary("%", written(self.sum(left)), by): 1}
            case _:
                return {part if part == ONE else rebuilt(part, self.rewrite): 1}


class _Digits(_Terms):
    """By digits too."""

    def arranged(self, terms: Sum) -> Sum:
        for rank in (Var("a"), Var("b")):
            quotients = {1: rank, **{by: Binary("//", rank, Const(by)) for by in _divisors(terms, rank)}}
            own = {by: terms[term] for by, term in quotients.items() if term in terms}
            chain = sorted({1, *own})
            if len({factor > 0 for factor in own.values()}) == 2 and all(q % p == 0 for p, q in pairwise(chain)):
                others = {term: factor for term, factor in terms.items() if term not in quotients.values()}
                terms = added(others, _by_digits(rank, own, chain), 1)
        return terms


def _divisors(terms: Sum, rank: Var) -> list[int]:
    return [term.right.value for term in terms if _is_quotient(term, rank)]  # type: ignore[union-attr]


def _is_quotient(term: Expr, rank: Var) -> bool:
    return isinstance(term, Binary) and term.operator == "//" and term.left == rank


def _by_digits(rank: Var, factors: dict[int, int], chain: list[int]) -> Sum:
    """A sum of factors[m] * (rank // m): the digit of weight w is in rank // m for each m <= w, w / m times."""
    found: Sum = {}
    for place, weight in enumerate(chain):
        factor = sum(each * (weight // by) for by, each in factors.items() if by <= weight)
        digit: Expr = rank if weight == 1 else Binary("//", rank, Const(weight))
        if place + 1 < len(chain):
            digit = Binary("%", digit, Const(chain[place + 1] // weight))
        if factor:
            found[digit] = factor
    return found
