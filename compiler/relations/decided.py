"""Whether a predicate holds everywhere in a box, or nowhere in it, for many boxes at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var

Bounds: TypeAlias = tuple[Any, Any]
Boxes: TypeAlias = Mapping[str, Bounds]
"""The least and the greatest value of each variable: integers, or arrays of one value for each box."""


def decided(predicate: Predicate, boxes: Boxes) -> Any:
    """1 where it is proved to hold in all of a box, -1 where in none of it, 0 where neither was seen.

    Of parts that are one object (equal_parts.py) each is looked at once."""
    return _Inside(boxes).decided(predicate)


def bounds(expr: Expr, boxes: Boxes) -> Bounds:
    """The least and the greatest value of an expression in each box, not always the tightest."""
    return _Inside(boxes).bounds(expr)


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


class _Inside:
    """What is known of expressions and predicates in each box; of the parts of one predicate, by their identity."""

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes
        self._known: dict[int, Any] = {}

    def decided(self, predicate: Predicate) -> Any:
        if (known := self._known.get(id(predicate))) is None:
            known = self._known[id(predicate)] = self._decided(predicate)
        return known

    def bounds(self, expr: Expr) -> Bounds:
        """Bounds of the expression in each box, not always the tightest."""
        if (known := self._known.get(id(expr))) is None:
            known = self._known[id(expr)] = self._bounds(expr)
        found: Bounds = known
        return found

    def _decided(self, predicate: Predicate) -> Any:
        match predicate:
            case Compare(operator, left, right):
                (low, high), (other_low, other_high) = self.bounds(left), self.bounds(right)
                always, never = compared(operator, low - other_high, high - other_low)
                return np.subtract(always, never, dtype=np.int8)
            case All(parts):
                return reduce(np.minimum, map(self.decided, parts)) if parts else np.int8(1)
            case AnyOf(parts):
                return reduce(np.maximum, map(self.decided, parts)) if parts else np.int8(-1)

    def _bounds(self, expr: Expr) -> Bounds:
        match expr:
            case Const(value):
                return np.int64(value), np.int64(value)
            case Var(name):
                return self._boxes[name]
            case Select(condition, then, otherwise):
                holds = self.decided(condition)
                (low, high), (other_low, other_high) = self.bounds(then), self.bounds(otherwise)
                either = np.minimum(low, other_low), np.maximum(high, other_high)
                return (
                    np.where(holds > 0, low, np.where(holds < 0, other_low, either[0])),
                    np.where(holds > 0, high, np.where(holds < 0, other_high, either[1])),
                )
            case Binary("%", left, Const(modulus)):
                low, high = self.bounds(left)
                begin = low // modulus
                same = begin == high // modulus
                return np.where(same, low - begin * modulus, 0), np.where(same, high - begin * modulus, modulus - 1)
            case Binary(operator, left, right):
                return _combined(operator, self.bounds(left), self.bounds(right))


def _combined(operator: str, one: Bounds, two: Bounds) -> Bounds:
    (low, high), (other_low, other_high) = one, two
    match operator:
        case "+":
            return low + other_low, high + other_high
        case "-":
            return low - other_high, high - other_low
        case "//":  # by a positive constant
            return low // other_low, high // other_low
        case "min":
            return np.minimum(low, other_low), np.minimum(high, other_high)
        case "max":
            return np.maximum(low, other_low), np.maximum(high, other_high)
    corners: list[NDArray[np.int64]] = [x * y for x in one for y in two]
    least, most = corners[0], corners[0]
    for corner in corners[1:]:
        least, most = np.minimum(least, corner), np.maximum(most, corner)
    return least, most
