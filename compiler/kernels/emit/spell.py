"""spell: an integer expression as the text of a Triton expression.

Triton's ``//`` and ``%`` round towards zero. They are printed only where the left operand is provably >= 0 given that
every variable of a program is, but for the step d of a fan; elsewhere stand ``floordiv`` and ``floormod`` of
runtime/engines/triton/tiles.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, assert_never

from ...relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var

# Closed bounds of a value; None is unbounded.
Interval: TypeAlias = tuple[int | None, int | None]


def interval(expr: Expr) -> Interval:
    """Bounds of ``expr`` when all variables but d are >= 0. Exact enough for signs, not for magnitudes."""
    match expr:
        case Const(value):
            return value, value
        case Var(name):
            return (None, None) if name == "d" else (0, None)
        case Select(_, then, otherwise):
            (low, high), (other_low, other_high) = interval(then), interval(otherwise)
            return _both(low, other_low, min), _both(high, other_high, max)
        case Binary(operator, left, right):
            return _binary_interval(operator, interval(left), interval(right))
        case _:
            assert_never(expr)


def _binary_interval(operator: str, left: Interval, right: Interval) -> Interval:
    (low, high), (other_low, other_high) = left, right
    match operator:
        case "+":
            return _both(low, other_low, int.__add__), _both(high, other_high, int.__add__)
        case "-":
            return _both(low, other_high, int.__sub__), _both(high, other_low, int.__sub__)
        case "*":
            return _product(left, right)
        case "//":
            return _both(low, other_low, int.__floordiv__), _both(high, other_low, int.__floordiv__)
        case "%":
            return 0, None if other_low is None else other_low - 1
        case "min":
            return _both(low, other_low, min), _either(high, other_high, min)
        case "max":
            return _either(low, other_low, max), _both(high, other_high, max)
        case _:
            raise ValueError(f"unknown operator {operator!r}")


def _both(left: int | None, right: int | None, combine: Callable[[int, int], int]) -> int | None:
    return None if left is None or right is None else combine(left, right)


def _either(left: int | None, right: int | None, combine: Callable[[int, int], int]) -> int | None:
    return (right if left is None else left) if left is None or right is None else _both(left, right, combine)


def _product(left: Interval, right: Interval) -> Interval:
    (low, high), (other_low, other_high) = left, right
    if None not in (*left, *right):
        corners = [x * y for x in left for y in right if x is not None and y is not None]
        return min(corners), max(corners)
    if low is not None and other_low is not None and low >= 0 and other_low >= 0:
        return low * other_low, _both(high, other_high, int.__mul__)
    return None, None


def spell(expr: Expr) -> str:
    """The value as Triton text, parenthesised so that it can stand anywhere."""
    match expr:
        case Const(value):
            return str(value)
        case Var(name):
            return name
        case Select(condition, then, otherwise):
            return f"tl.where({spell_predicate(condition)}, {spell(then)}, {spell(otherwise)})"
        case Binary("min" | "max" as operator, left, right):
            return f"tl.{operator}imum({_bare(spell(left))}, {_bare(spell(right))})"
        case Binary("//" | "%" as operator, left, right):
            divisor = _divisor(expr, right)
            low = interval(left)[0]
            if low is not None and low >= 0:
                return f"({spell(left)} {operator} {divisor})"
            return f"{'floordiv' if operator == '//' else 'floormod'}({_bare(spell(left))}, {divisor})"
        case Binary(operator, left, right):
            return f"({spell(left)} {operator} {spell(right)})"
        case _:
            assert_never(expr)


def _divisor(expr: Expr, right: Expr) -> int:
    if not isinstance(right, Const) or right.value <= 0:
        raise ValueError(f"the right side of // and % must be a positive constant: {expr}")
    return right.value


def spell_predicate(predicate: Predicate) -> str:
    """The truth value as Triton text. A constant one is spelled with c, so that it has a Triton type."""
    match predicate:
        case Compare(operator, left, right):
            return f"({_bare(spell(left))} {operator} {_bare(spell(right))})"
        case All(()):
            return "(c == c)"
        case AnyOf(()):
            return "(c != c)"
        case All((part,)) | AnyOf((part,)):
            return spell_predicate(part)
        case All(parts):
            return f"({' & '.join(map(spell_predicate, parts))})"
        case AnyOf(parts):
            return f"({' | '.join(map(spell_predicate, parts))})"
        case _:
            assert_never(predicate)


def sentence(text: str) -> str:
    """A spelled value as a whole statement: without its outermost parentheses."""
    return _bare(text)


def _bare(text: str) -> str:
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and place < len(text) - 1:
            return text
    return text[1:-1]


def one_line(text: str) -> str:
    """Source text as it can stand in a comment or docstring."""
    return " ".join(text.split()).replace("\\", "/").replace('"', "'")
