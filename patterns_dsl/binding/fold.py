"""Arithmetic on core terms: constants are folded, and what is not linear is refused.

k1 op k2 -> value            when both are constants
t * t', t div t', t mod t'   stay when one factor, or the divisor, is a constant
k * t  ->  -(|k| * t)        when k < 0: isl does not read a negative constant in parentheses as a factor
"""

from __future__ import annotations

from typing import assert_never

from ..diagnostics import codes
from ..diagnostics.source import Span
from ..syntax import (
    And,
    Arithmetic,
    Chosen,
    Comparison,
    Drawn,
    Exists,
    Formula,
    Function,
    Integer,
    Membership,
    Negative,
    Not,
    Or,
    PairMembership,
    Term,
)
from ..syntax.terms import LARGEST


class Unfoldable(Exception):
    """A term that no core term stands for."""

    def __init__(self, code: str, message: str, help: str) -> None:
        self.code, self.message, self.help = code, message, help
        super().__init__(message)


def negative(term: Term, span: Span) -> Term:
    return Integer(-term.value, span=span) if isinstance(term, Integer) else Negative(term, span=span)


def arithmetic(operator: str, left: Term, right: Term, span: Span) -> Term:
    """``left operator right``. Raises Unfoldable where it is not linear or has no value."""
    match operator:
        case "^" if not (isinstance(left, Integer) and isinstance(right, Integer)):
            raise Unfoldable(codes.NONLINEAR, "a power of numbers only", "both sides of `^` must be known numbers")
        case "*" if not (isinstance(left, Integer) or isinstance(right, Integer)):
            raise Unfoldable(
                codes.NONLINEAR,
                "a product of two unknowns is not linear",
                "one factor must be a number or a parameter: proofs hold for linear formulas",
            )
        case "div" | "mod" if not (isinstance(right, Integer) and right.value > 0):
            found = f"{right.value}" if isinstance(right, Integer) else "not a known number"
            raise Unfoldable(
                codes.MODULUS,
                f"the right side of `{operator}` must be a positive number; it is {found}",
                "divide by a number or a parameter; `require` can keep a parameter positive",
            )
    if isinstance(left, Integer) and isinstance(right, Integer):
        return Integer(_value(operator, left.value, right.value), span=span)
    if operator == "*":
        factor, term = (left, right) if isinstance(left, Integer) else (right, left)
        if isinstance(factor, Integer) and factor.value < 0:
            return Negative(Arithmetic("*", negative(factor, factor.span), term, span=span), span=span)
    return Arithmetic(operator, left, right, span=span)


def function(name: str, arguments: tuple[Term, ...], span: Span) -> Term:
    """``abs``, ``min`` or ``max`` of core terms; folded when all are constants."""
    values = [each.value for each in arguments if isinstance(each, Integer)]
    if len(values) < len(arguments):
        return arguments[0] if name != "abs" and len(arguments) == 1 else Function(name, arguments, span=span)
    match name:
        case "abs":
            return Integer(abs(values[0]), span=span)
        case "min":
            return Integer(min(values), span=span)
        case "max":
            return Integer(max(values), span=span)
        case _:
            raise ValueError(f"unknown function {name!r}")


def _value(operator: str, left: int, right: int) -> int:
    value: int
    match operator:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case "div":
            value = left // right
        case "mod":
            value = left % right
        case "^":
            if right < 0:
                raise Unfoldable(codes.OUT_OF_RANGE, "a negative power is no integer", "keep the exponent at least 0")
            if abs(left) > 1 and right > 62:
                raise Unfoldable(
                    codes.NUMBER_SIZE, f"numbers go up to 2^62, and this is {left}^{right}", "use a smaller exponent"
                )
            value = left**right
        case _:
            raise ValueError(f"unknown operator {operator!r}")
    if abs(value) > LARGEST:
        raise Unfoldable(codes.NUMBER_SIZE, f"numbers go up to 2^62, and this is {value}", "use smaller numbers")
    return value


def truth(formula: Formula) -> bool | None:
    """The value of a core formula of constants; None when it speaks of anything unknown."""
    match formula:
        case Comparison(terms, operators):
            values = [term.value for term in terms if isinstance(term, Integer)]
            if len(values) < len(terms):
                return None
            return all(_compare(*part) for part in zip(operators, values, values[1:], strict=False))
        case And(left, right):
            both = truth(left), truth(right)
            return None if None in both else all(both)
        case Or(left, right):
            both = truth(left), truth(right)
            return None if None in both else any(both)
        case Not(inner):
            value = truth(inner)
            return None if value is None else not value
        case Exists() | Membership() | PairMembership() | Chosen() | Drawn():
            return None
        case _:
            assert_never(formula)


def _compare(operator: str, left: int, right: int) -> bool:
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case "=":
            return left == right
        case "!=":
            return left != right
        case ">=":
            return left >= right
        case ">":
            return left > right
        case _:
            raise ValueError(f"unknown comparison {operator!r}")
