"""Integer expressions and predicates as formulas in isl's text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, assert_never

from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var
from .isl.context import quote

_ALWAYS = "0 = 0"  # isl reads `true` only where no bracket stands around it


def _cases(expr: Expr, cls: str) -> Iterator[tuple[str, str]]:
    """(guard, value): isl's text has no conditional value, so each way through the selections is a case."""
    match expr:
        case Const(value):
            yield _ALWAYS, str(value) if value >= 0 else f"({value})"
        case Var(name):
            yield _ALWAYS, cls if name == "c" else quote(name)
        case Binary("*", Const(factor), operand) | Binary("*", operand, Const(factor)):
            yield from ((guard, f"({factor} * {value})") for guard, value in _cases(operand, cls))
        case Binary("//", left, Const(divisor)):
            yield from ((guard, f"floor({value} / {divisor})") for guard, value in _cases(left, cls))
        case Binary("%", left, Const(modulus)):
            yield from ((guard, f"({value} mod {modulus})") for guard, value in _cases(left, cls))
        case Binary(operator, left, right):
            for (guard, a), (other, b) in product(_cases(left, cls), _cases(right, cls)):
                infix = f"({a} {operator} {b})"
                yield _both(guard, other), f"{operator}({a}, {b})" if operator in ("min", "max") else infix
        case Select(test, then, otherwise):
            holds = condition(test, cls)
            yield from ((_both(holds, guard), value) for guard, value in _cases(then, cls))
            yield from ((_both(f"not {holds}", guard), value) for guard, value in _cases(otherwise, cls))
        case _:
            assert_never(expr)


def _both(left: str, right: str) -> str:
    return f"({' and '.join(part for part in (left, right) if part != _ALWAYS) or _ALWAYS})"


def condition(predicate: Predicate, cls: str = quote("c")) -> str:
    """The formula of a predicate over ``quote``d names, with ``cls`` for the class c.

    It says ``a <= x and b <= x`` for ``max(a, b) <= x``, of which isl makes two pieces.
    """
    match predicate:
        case Compare("<=" | "<" as operator, left, right) if (split := _choice(left)) is not None:
            each = (Compare(operator, split.one, right), Compare(operator, split.other, right))
            return condition(All(each) if split.largest else AnyOf(each), cls)
        case Compare("<=" | "<" as operator, left, right) if (split := _choice(right)) is not None:
            each = (Compare(operator, left, split.one), Compare(operator, left, split.other))
            return condition(AnyOf(each) if split.largest else All(each), cls)
        case Compare(operator, left, right):
            return _compared({"==": "="}.get(operator, operator), left, right, cls)
        case All(parts):
            return "(" + " and ".join(condition(part, cls) for part in parts) + ")" if parts else _ALWAYS
        case AnyOf(parts):
            return "(" + " or ".join(condition(part, cls) for part in parts) + ")" if parts else "0 = 1"
        case _:
            assert_never(predicate)


class _Choice(NamedTuple):
    largest: bool
    one: Expr
    other: Expr


def _choice(expr: Expr) -> _Choice | None:
    """An expression that is the larger or the smaller of two: ``x + max(a, b)`` is ``max(x + a, x + b)``."""
    match expr:
        case Binary("min" | "max" as operator, one, other):
            return _Choice(operator == "max", one, other)
        case Binary("+", term, Binary("min" | "max" as operator, one, other)):
            return _Choice(operator == "max", Binary("+", term, one), Binary("+", term, other))
        case _:
            return None


def _compared(symbol: str, left: Expr, right: Expr, cls: str) -> str:
    ways = (
        _both(_both(guard, other), f"{a} {symbol} {b}")
        for (guard, a), (other, b) in product(_cases(left, cls), _cases(right, cls))
    )
    return f"({' or '.join(ways)})"
