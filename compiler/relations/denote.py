"""denote: from the tree of a bound pattern to the relation that it means.

Each construct is one equation. In a causal pattern every operand is meant within ``j <= i``, those of ``@`` and
``not`` included; elsewhere within all pairs of positions.
"""

from __future__ import annotations

from typing import assert_never

from ...patterns_dsl.syntax import (
    And,
    Arithmetic,
    Call,
    Comparison,
    Complement,
    Composition,
    Difference,
    Direction,
    Elements,
    Exists,
    Expression,
    Formula,
    Integer,
    Intersection,
    Membership,
    Name,
    Negative,
    Not,
    Or,
    Pairs,
    Positions,
    Term,
    Union,
)
from .presburger import quote
from .relation import Relation, lengths, universe


def denote(expression: Expression, direction: Direction) -> Relation:
    """The relation of a core-form expression; raises TypeError for a form that ``bind`` should have expanded."""
    match expression:
        case Pairs(query, key, formula):
            return Relation.parse(_formula(formula, direction), direction, query=query, key=key)
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
        case Positions() | Elements() | Call():
            raise TypeError(f"{type(expression).__name__} is not a relation in core form")
        case _:
            assert_never(expression)


def _formula(formula: Formula, direction: Direction) -> str:
    match formula:
        case Comparison(terms, operators):
            texts = [_term(term) for term in terms]
            links = zip(texts, operators, texts[1:], strict=False)
            return "(" + " and ".join(f"{left} {operator} {right}" for left, operator, right in links) + ")"
        case And(left, right):
            return f"({_formula(left, direction)} and {_formula(right, direction)})"
        case Or(left, right):
            return f"({_formula(left, direction)} or {_formula(right, direction)})"
        case Not(inner):
            return f"(not {_formula(inner, direction)})"
        case Exists(variable, body, None):
            name = quote(variable)
            inside = " or ".join(f"{name} < {quote(length)}" for length in lengths(direction))
            return f"(exists ({name} : 0 <= {name} and ({inside}) and {_formula(body, direction)}))"
        case Exists() | Membership():
            raise TypeError(f"{type(formula).__name__} is not a formula in core form")
        case _:
            assert_never(formula)


def _term(term: Term) -> str:
    match term:
        case Integer(value):
            return f"({value})" if value < 0 else str(value)
        case Name(name):
            return quote(name)
        case Negative(inner):
            return f"(-{_term(inner)})"
        case Arithmetic("div", left, right):
            return f"floor(({_term(left)}) / {_term(right)})"
        case Arithmetic("mod", left, right):
            return f"(({_term(left)}) mod {_term(right)})"
        case Arithmetic(operator, left, right):
            return f"({_term(left)} {operator} {_term(right)})"
        case _:
            assert_never(term)
