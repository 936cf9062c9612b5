"""After how many ranks what an expression is divided by begins anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var

_Periods: TypeAlias = tuple[bool, frozenset[int]]
"""Whether a part may grow with one of the names without end, and its periods."""


def periods(node: Expr | Predicate, names: frozenset[str] = frozenset({"a", "b"})) -> frozenset[int]:
    """After how many ranks what is divided by may begin anew: ``a // 10 % 6`` comes again after 60, ``a // 10`` is one
    more after 10. Of ranks, or of what else ``names`` are."""
    known: dict[int, _Periods] = {}  # of each part that is one object, by its identity

    def once(node: Expr | Predicate) -> _Periods:
        if (found := known.get(id(node))) is None:
            found = known[id(node)] = _periods(node, names, once)
        return found

    return once(node)[1]


def _periods(node: Expr | Predicate, names: frozenset[str], of: Callable[[Expr | Predicate], _Periods]) -> _Periods:
    """``of``: those of its parts."""
    match node:
        case Var(name):
            return name in names, frozenset()
        case Const():
            return False, frozenset()
        case Binary("//" | "%" as operator, left, Const(by)):
            grows, within = of(left)
            return grows and operator == "//", within | {by * ranks for ranks in within} | {by} if grows else within
        case Binary(_, left, right) | Compare(_, left, right):
            parts: tuple[Expr | Predicate, ...] = (left, right)
        case Select(condition, then, otherwise):
            parts = (condition, then, otherwise)
        case All(every) | AnyOf(every):
            parts = every
    found = [of(part) for part in parts]
    return any(grows for grows, _ in found), frozenset().union(*(periods for _, periods in found))
