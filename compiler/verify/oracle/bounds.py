"""The value of a bound at a stated length, by plain arithmetic: for the oracle, which shares no code with proofs."""

from __future__ import annotations

from typing import assert_never

from ....patterns_dsl import syntax
from ....patterns_dsl.syntax import Term


def value(term: Term, n: int, nk: int | None = None) -> int:
    """The value of a core term in the lengths."""
    lengths = {"n": n, "nq": n, "nk": n if nk is None else nk}

    def go(node: Term) -> int:
        match node:
            case syntax.Integer(number):
                return number
            case syntax.Name(name):
                return lengths[name]
            case syntax.Negative(inner):
                return -go(inner)
            case syntax.Arithmetic(operator, left, right):
                return _apply(operator, go(left), go(right))
            case syntax.Function("abs", (inner,)):
                return abs(go(inner))
            case syntax.Function(name, arguments):
                return (min if name == "min" else max)(go(each) for each in arguments)
            case syntax.Coordinate():
                raise ValueError("a bound speaks of lengths, not of positions")
            case _:
                assert_never(node)

    return go(term)


def _apply(operator: str, left: int, right: int) -> int:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "div":
            return left // right
        case "mod":
            return left % right
        case _:
            raise ValueError(f"not in core form: {operator!r}")
