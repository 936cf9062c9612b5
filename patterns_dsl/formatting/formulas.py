"""The pieces of formulas."""

from __future__ import annotations

from typing import assert_never

from .. import syntax
from .expressions import random
from .pieces import Pieces, Place, Unspellable

# How tightly they bind, the loosest first: from `formula` to `condition` in the grammar.
_OR, _AND, _NEGATION, _CONDITION = range(1, 5)


def formula(node: syntax.Formula, place: Place) -> Pieces:
    if _binding(node) < place.floor or (place.followed and isinstance(node, syntax.Exists)):
        return "(", *formula(node, Place(node)), ")"
    match node:
        case syntax.Or(left, right):
            return _infix("or", left, right, _OR, place.followed)
        case syntax.And(left, right):
            return _infix("and", left, right, _AND, place.followed)
        case syntax.Not(operand):
            return "not ", Place(operand, _NEGATION, followed=place.followed)
        case syntax.Exists(variable, body, bounds):
            within = () if bounds is None else (" in ", Place(bounds[0]), "..", Place(bounds[1]))
            return f"exists {variable}", *within, " : ", Place(body)
        case _:
            return _condition(node)


def _binding(node: syntax.Formula) -> int:
    match node:
        case syntax.Or():
            return _OR
        case syntax.And():
            return _AND
        case syntax.Not() | syntax.Exists():
            return _NEGATION
        case _:
            return _CONDITION


def _infix(operator: str, left: syntax.Formula, right: syntax.Formula, floor: int, followed: bool) -> Pieces:
    return Place(left, floor, followed=True), f" {operator} ", Place(right, floor + 1, followed=followed)


def _condition(
    node: syntax.Comparison | syntax.Membership | syntax.PairMembership | syntax.Chosen | syntax.Drawn,
) -> Pieces:
    match node:
        case syntax.Comparison(terms, operators):
            first, *rest = terms
            pairs = zip(operators, rest, strict=True)
            return Place(first), *(piece for operator, term in pairs for piece in (f" {operator} ", Place(term)))
        case syntax.Membership(term, positions):
            return Place(term), " in ", Place(positions)
        case syntax.PairMembership(query, key, relation):
            return *_pair(query, key), " in ", Place(relation)
        case syntax.Chosen(source, (term,)):
            return Place(term), f" in {source}"
        case syntax.Drawn(query, key):
            return *_pair(query, key), f" in {random(node)}"
        case syntax.Chosen(source):
            raise Unspellable(f"`{source}` decides pairs, and nothing says whether as a selection or as documents")
        case _:
            assert_never(node)


def _pair(query: syntax.Term, key: syntax.Term) -> Pieces:
    return "(", Place(query), ", ", Place(key), ")"
