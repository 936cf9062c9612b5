"""denote: from the tree of a bound pattern to the relation that it means.

Each construct is one equation. In a causal pattern every operand is meant within ``j <= i``, those of ``@`` and
``not`` included; elsewhere within all pairs of positions.
"""

from __future__ import annotations

from ...patterns_dsl.syntax import (
    And,
    Arithmetic,
    Comparison,
    Complement,
    Composition,
    Difference,
    Direction,
    Exists,
    Expression,
    Formula,
    Integer,
    Intersection,
    Name,
    Negative,
    Not,
    Or,
    Pairs,
    Term,
    Union,
)
from .isl.context import quote
from .relation import Relation, lengths, universe


def denote(expression: Expression, direction: Direction) -> Relation:
    """The relation of a core-form expression without open choices.

    Raises TypeError for a form that ``bind`` should have expanded, or that ``settle`` should have settled.
    """
    match expression:
        case Pairs(query, key, formula):
            return Relation.parse(condition(formula, direction), direction, query=query, key=key)
        case Union(left, right):
            return denote(left, direction) | denote(right, direction)
        case Intersection(left, right):
            return denote(left, direction) & denote(right, direction)
        case Difference(left, right):
            return denote(left, direction) - denote(right, direction)
        case Complement(operand):
            return universe(direction) - denote(operand, direction)
        case Composition(left, right):
            return denote(left, direction) @ denote(right, direction)
        case _:
            raise TypeError(f"{type(expression).__name__} is not a settled relation in core form")


def condition(formula: Formula, direction: Direction) -> str:
    """A settled core formula as isl's text over quoted names."""
    match formula:
        case Comparison(terms, operators):
            texts = [number(term) for term in terms]
            links = zip(texts, operators, texts[1:], strict=False)
            return "(" + " and ".join(f"{left} {operator} {right}" for left, operator, right in links) + ")"
        case And(left, right):
            return f"({condition(left, direction)} and {condition(right, direction)})"
        case Or(left, right):
            return f"({condition(left, direction)} or {condition(right, direction)})"
        case Not(inner):
            return f"(not {condition(inner, direction)})"
        case Exists(variable, body, None):
            name = quote(variable)
            inside = " or ".join(f"{name} < {quote(length)}" for length in lengths(direction))
            return f"(exists ({name} : 0 <= {name} and ({inside}) and {condition(body, direction)}))"
        case _:
            raise TypeError(f"{type(formula).__name__} is not a settled formula in core form")


def number(term: Term) -> str:
    """A core term as isl's text over quoted names."""
    match term:
        case Integer(value):
            return f"({value})" if value < 0 else str(value)
        case Name(name):
            return quote(name)
        case Negative(inner):
            return f"(-{number(inner)})"
        case Arithmetic("div", left, right):
            return f"floor(({number(left)}) / {number(right)})"
        case Arithmetic("mod", left, right):
            return f"(({number(left)}) mod {number(right)})"
        case Arithmetic(operator, left, right):
            return f"({number(left)} {operator} {number(right)})"
        case _:
            raise TypeError(f"{type(term).__name__} is not a term in core form")
