"""What a mask does when its ranks move: facts that let one mask serve many tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from .decided import compared
from .integer import FALSE, TRUE, All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, apply
from .multiples import by_multiples

Box: TypeAlias = Mapping[str, tuple[int, int]]
"""The least and the greatest value of each variable."""


def invariant(predicate: Predicate, query_step: int, key_step: int) -> bool:
    """Whether the predicate is proved to keep its value under a -> a + query_step, b -> b + key_step.

    False says only that the proof did not succeed.
    """
    match predicate:
        case Compare(_, left, right):
            change = _change(left, query_step, key_step)
            return change is not None and change == _change(right, query_step, key_step)
        case All(parts) | AnyOf(parts):
            return all(invariant(part, query_step, key_step) for part in parts)


def _change(expr: Expr, query_step: int, key_step: int) -> int | None:
    """The constant by which the expression grows; None where it is not known to be one."""
    match expr:
        case Const():
            return 0
        case Var(name):
            return {"a": query_step, "b": key_step}.get(name, 0)
        case Binary("*", Const(factor), other) | Binary("*", other, Const(factor)):
            change = _change(other, query_step, key_step)
            return None if change is None else factor * change
        case Binary("//", left, Const(divisor)):
            change = _change(left, query_step, key_step)
            return None if change is None or change % divisor else change // divisor
        case Binary("%", left, Const(modulus)):
            change = _change(left, query_step, key_step)
            return None if change is None or change % modulus else 0
        case Binary(operator, left, right):
            return _combined(operator, _change(left, query_step, key_step), _change(right, query_step, key_step))
        case Select(condition, then, otherwise):
            change = _change(then, query_step, key_step)
            same = change == _change(otherwise, query_step, key_step)
            return change if same and invariant(condition, query_step, key_step) else None


def _combined(operator: str, left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return None
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "min" | "max" if left == right:
            return left
        case _ if left == right == 0:
            return 0
        case _:
            return None


def staircase(predicate: Predicate, known: Mapping[str, int]) -> int | None:
    """s when the predicate is ``b <= a - s`` for a constant s >= 0: a causal triangle, shifted by s; else None.

    ``known`` gives the values of variables besides a and b. m*b <= m*a + r is b <= a + r // m.
    """
    match predicate:
        case Compare(">=" | "<=" as operator, left, right):
            high, low = (left, right) if operator == ">=" else (right, left)
            above, below = _linear(high, known), _linear(low, known)
            if above is None or below is None:
                return None
            a, b, rest = (x - y for x, y in zip(above, below, strict=True))
            shift = -(rest // a) if a > 0 and a == -b else -1
            return shift if shift >= 0 else None
        case Compare() | All() | AnyOf():
            return None


def _linear(expr: Expr, known: Mapping[str, int]) -> tuple[int, int, int] | None:
    """(coefficient of a, coefficient of b, constant), when the expression is linear in a and b alone."""
    match expr:
        case Const(value):
            return (0, 0, value)
        case Var("a"):
            return (1, 0, 0)
        case Var("b"):
            return (0, 1, 0)
        case Var(name) if name in known:
            return (0, 0, known[name])
        case Binary("+" | "-" | "*" as operator, left, right):
            one, two = _linear(left, known), _linear(right, known)
            return None if one is None or two is None else _combination(operator, one, two)
        case _:
            return None


def _combination(operator: str, one: tuple[int, int, int], two: tuple[int, int, int]) -> tuple[int, int, int] | None:
    if operator == "*":
        constant, other = (one, two) if one[:2] == (0, 0) else (two, one)
        return (
            None if constant[:2] != (0, 0) else (constant[2] * other[0], constant[2] * other[1], constant[2] * other[2])
        )
    sign = 1 if operator == "+" else -1
    return (one[0] + sign * two[0], one[1] + sign * two[1], one[2] + sign * two[2])


class Spaced(NamedTuple):
    """Values of a variable: ``size`` of them from ``first`` on, and again after every ``step``."""

    first: int
    size: int
    step: int


def restrict(predicate: Predicate, box: Box, spaced: Mapping[str, Spaced] | None = None) -> Predicate:
    """A predicate that agrees with the given one inside the box, at values of variables that are ``spaced`` where they
    are; comparisons and quotients decided there are gone.

    Of parts that are one object (equal_parts.py) each is looked at once, and stays one object.
    """
    return _Inside(box, spaced or {}).restrict(predicate)


class _Inside:
    """What is known of expressions and predicates inside a box."""

    def __init__(self, box: Box, spaced: Mapping[str, Spaced]) -> None:
        self._box, self._spaced = box, spaced
        # By identity; the keys are kept alive beside the values, so that no other object takes their place.
        self._restricted: dict[int, tuple[Predicate, Predicate]] = {}
        self._chosen: dict[int, tuple[Expr, Expr]] = {}
        self._ranges: dict[int, tuple[Expr, tuple[int, int]]] = {}

    def restrict(self, predicate: Predicate) -> Predicate:
        if (known := self._restricted.get(id(predicate))) is None:
            known = self._restricted[id(predicate)] = predicate, self._restrict(predicate)
        return known[1]

    def choose(self, expr: Expr) -> Expr:
        """The expression without choices that the box decides."""
        if (known := self._chosen.get(id(expr))) is None:
            known = self._chosen[id(expr)] = expr, self._choose(expr)
        return known[1]

    def range(self, expr: Expr) -> tuple[int, int]:
        """Bounds of the expression, not always the tightest."""
        if (known := self._ranges.get(id(expr))) is None:
            known = self._ranges[id(expr)] = expr, self._range(expr)
        return known[1]

    def _restrict(self, predicate: Predicate) -> Predicate:
        match predicate:
            case Compare(operator, left, right):
                one, two = self.choose(left), self.choose(right)
                (low, high), (other_low, other_high) = self.range(one), self.range(two)
                if (found := _decided(operator, low - other_high, high - other_low)) is not None:
                    return found
                if (found := by_multiples(operator, one, two, self.range)) is not None:
                    return found
                return predicate if one is left and two is right else Compare(operator, one, two)
            case All(parts):
                kept = self._undecided(parts, FALSE, TRUE)
                return FALSE if kept is None else kept[0] if len(kept) == 1 else All(tuple(kept))
            case AnyOf(parts):
                kept = self._undecided(parts, TRUE, FALSE)
                return TRUE if kept is None else kept[0] if len(kept) == 1 else AnyOf(tuple(kept))

    def _undecided(self, parts: Sequence[Predicate], decisive: Predicate, neutral: Predicate) -> list[Predicate] | None:
        """The parts but for those that say nothing; None where one decides, whatever the others are."""
        kept: list[Predicate] = []
        for part in parts:
            if (found := self.restrict(part)) == decisive:
                return None
            if found != neutral:
                kept.append(found)
        return kept

    def _choose(self, expr: Expr) -> Expr:
        match expr:
            case Binary("//", left, Const(divisor)) if (quotient := self._quotient(left, divisor)) is not None:
                return Const(quotient)
            case Binary("%", left, Const(modulus)) if (quotient := self._quotient(left, modulus)) is not None:
                rest = self.choose(left)
                return Binary("-", rest, Const(modulus * quotient)) if quotient else rest
            case Binary(operator, left, right):
                chosen = self.choose(left), self.choose(right)
                return expr if chosen[0] is left and chosen[1] is right else Binary(operator, *chosen)
            case Select(condition, then, otherwise):
                condition = self.restrict(condition)
                if condition in (TRUE, FALSE):
                    return self.choose(then if condition == TRUE else otherwise)
                return Select(condition, self.choose(then), self.choose(otherwise))
            case _:
                return expr

    def _quotient(self, expr: Expr, by: int) -> int | None:
        """What it is divided by a number, where that is the same in all of the box."""
        low, high = self.range(expr)
        return low // by if low // by == high // by else None

    def _range(self, expr: Expr) -> tuple[int, int]:
        match expr:
            case Const(value):
                return value, value
            case Var(name):
                return self._box[name]
            case Binary("%", left, Const(modulus)):
                low, high = self.range(left)
                same = low // modulus == high // modulus
                return (low % modulus, high % modulus) if same else self._digit(left, modulus) or (0, modulus - 1)
            case Binary(operator, left, right):
                ends = [apply(operator, x, y) for x in self.range(left) for y in self.range(right)]
                return min(ends), max(ends)
            case Select(_, then, otherwise):
                (low, high), (other_low, other_high) = self.range(then), self.range(otherwise)
                return min(low, other_low), max(high, other_high)

    def _digit(self, expr: Expr, modulus: int) -> tuple[int, int] | None:
        """Bounds of a remainder: a % 8 is 4 or 5 where a is that after every 16, and a // 4 % 2 is 1."""
        match expr:
            case Var(name):
                by = 1
            case Binary("//", Var(name), Const(by)):
                pass
            case _:
                return None
        if (spaced := self._spaced.get(name)) is None or spaced.step % (by * modulus):
            return None
        low, high = spaced.first // by, (spaced.first + spaced.size - 1) // by
        return (low % modulus, high % modulus) if low // modulus == high // modulus else None


def _decided(operator: str, low: int, high: int) -> Predicate | None:
    """TRUE or FALSE where every difference in [low, high] compares alike with 0; else None."""
    always, never = compared(operator, low, high)
    return TRUE if always else FALSE if never else None
