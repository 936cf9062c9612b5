"""Whether a predicate holds everywhere in a box, or nowhere in it, for many boxes at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import Any, TypeAlias

import numpy as np

from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, apply

Bounds: TypeAlias = tuple[Any, Any]
Boxes: TypeAlias = Mapping[str, Bounds]
"""The least and the greatest value of each variable: integers, or arrays of one value for each box."""


def decided(predicate: Predicate, boxes: Boxes) -> Any:
    """1 where it is proved to hold in all of a box, -1 where in none of it, 0 where neither was seen.

    Of parts that are one object (equal_parts.py) each is looked at once."""
    found = _Inside(boxes).holds(predicate)
    if isinstance(found, bool):
        return np.int8(1 if found else -1)
    return np.add(*found, dtype=np.int8) - np.int8(1)


def bounds(expr: Expr, boxes: Boxes) -> Bounds:
    """The least and the greatest value of an expression in each box, not always the tightest."""
    ends = _Inside(boxes).ends(expr)
    return (ends, ends) if isinstance(ends, int) else (ends[0], ends[1])


def compared(operator: str, low: Any, high: Any) -> tuple[Any, Any]:
    """(whether every difference in [low, high] compares so with 0, whether none does)."""
    match operator:
        case "<":
            return high < 0, low >= 0
        case "<=":
            return high <= 0, low > 0
        case ">":
            return low > 0, high <= 0
        case ">=":
            return low >= 0, high < 0
    apart, same = (low > 0) | (high < 0), (low == 0) & (high == 0)
    return (same, apart) if operator == "==" else (apart, same)


_Ends: TypeAlias = Any
"""The least and the greatest value in each box [2, boxes], not always the tightest; or one integer, of all boxes."""

_Truth: TypeAlias = Any
"""Whether something surely holds, and whether it may [2, boxes]; or whether it does in all boxes."""


class _Inside:
    """What is known of expressions and predicates in each box; of the parts of one predicate, by their identity."""

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes
        self._known: dict[int | str, Any] = {}

    def holds(self, predicate: Predicate) -> _Truth:
        if (known := self._known.get(id(predicate))) is None:
            known = self._known[id(predicate)] = self._holds(predicate)
        return known

    def ends(self, expr: Expr) -> _Ends:
        if (known := self._known.get(id(expr))) is None:
            known = self._known[id(expr)] = self._ends(expr)
        return known

    def _holds(self, predicate: Predicate) -> _Truth:
        match predicate:
            case Compare(operator, left, right):
                return _compared(operator, self.ends(left), self.ends(right))
            case All(parts):
                return reduce(and_, map(self.holds, parts)) if parts else True
            case AnyOf(parts):
                return reduce(or_, map(self.holds, parts)) if parts else False

    def _ends(self, expr: Expr) -> _Ends:
        match expr:
            case Binary("%", left, Const(modulus)):
                return _remainder(self.ends(left), modulus)
            case Binary(operator, left, right):
                return _combined(operator, self.ends(left), self.ends(right))
            case Const(value):
                return value
            case Var(name):
                if (known := self._known.get(name)) is None:
                    known = self._known[name] = _of_variable(*self._boxes[name])
                return known
            case Select(condition, then, otherwise):
                return _chosen(self.holds(condition), self.ends(then), self.ends(otherwise))


def _of_variable(low: Any, high: Any) -> _Ends:
    if isinstance(low, int) and low == high:
        return low
    ends = np.empty((2, max(np.size(low), np.size(high))), dtype=np.int64)
    ends[0], ends[1] = low, high
    return ends


def _swapped(ends: Any) -> Any:
    return ends if isinstance(ends, int) else ends[::-1]


def _compared(operator: str, left: _Ends, right: _Ends) -> _Truth:
    match operator:
        case "<":
            return right - _swapped(left) > 0
        case "<=":
            return right - _swapped(left) >= 0
        case ">":
            return left - _swapped(right) > 0
        case ">=":
            return left - _swapped(right) >= 0
    apart = left - _swapped(right)
    if isinstance(apart, int):
        return (apart == 0) == (operator == "==")
    always, never = compared(operator, *apart)
    return np.array([always, ~never])


def _remainder(ends: _Ends, modulus: int) -> _Ends:
    if isinstance(ends, int):
        return ends % modulus
    begin = ends // modulus
    return np.where(begin[0] == begin[1], ends - begin * modulus, [[0], [modulus - 1]])


def _chosen(holds: _Truth, then: _Ends, otherwise: _Ends) -> _Ends:
    if isinstance(holds, bool):
        return then if holds else otherwise
    one, two = (np.full((2, 1), ends) if isinstance(ends, int) else ends for ends in (then, otherwise))
    either = np.stack(np.broadcast_arrays(np.minimum(one[0], two[0]), np.maximum(one[1], two[1])))
    return np.where(holds[0], one, np.where(holds[1], either, two))


def _combined(operator: str, one: _Ends, two: _Ends) -> _Ends:
    if isinstance(one, int) and isinstance(two, int):
        return apply(operator, one, two)
    match operator:
        case "+":
            return one + two
        case "-":
            return one - _swapped(two)
        case "//":  # by a positive constant
            return one // two
        case "min":
            return np.minimum(one, two)
        case "max":
            return np.maximum(one, two)
    if isinstance(one, int):
        one, two = two, one
    if isinstance(two, int):
        return (one if two >= 0 else _swapped(one)) * two
    corners = np.concatenate([one * two, one * _swapped(two)])
    return np.stack([corners.min(axis=0), corners.max(axis=0)])
