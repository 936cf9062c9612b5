"""The terms of a pattern's union, sorted by what one of their keys is: a token, or a summary of some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from ....patterns_dsl import syntax
from ....patterns_dsl.syntax import Expression


@dataclass(frozen=True, slots=True)
class Group:
    """Terms whose keys are alike: tokens (``size`` 1), or summaries of ``size`` tokens each. ``most`` bounds the keys
    of one query where a selection promises a bound."""

    body: Expression
    size: int
    most: int | None


def groups(expression: Expression, *, bounded: bool) -> tuple[Group, ...]:
    """The groups of a union: one of all terms on tokens, and one of each term on summaries. ``bounded``: terms whose
    keys a selection bounds stand alone, with their bound."""
    tokens: Expression | None = None
    found: list[Group] = []
    for term, size in _terms(expression, None):
        most = _most(term) if bounded else None
        if size is not None or most is not None:  # a summary of one token is a key beside that token
            group = Group(term, size or 1, most)
            if group not in found:
                found.append(group)
        else:
            tokens = term if tokens is None else syntax.Union(tokens, term, span=expression.span)
    return ((Group(tokens, 1, None), *found)) if tokens is not None else tuple(found)


def _terms(expression: Expression, size: int | None) -> Iterator[tuple[Expression, int | None]]:
    """The terms of a union, each with the tokens of a summary; None for terms on tokens."""
    match expression:
        case syntax.Union(left, right):
            yield from _terms(left, size)
            yield from _terms(right, size)
        case syntax.Gated(operand, gate):
            for term, inner in _terms(operand, size):
                yield syntax.Gated(term, gate, span=expression.span), inner
        case syntax.Pooled(operand, own):
            yield from _terms(operand, own)
        case _:
            yield expression, size


def _most(term: Expression) -> int | None:
    """What the selections in a term allow one query at most: those that every pair of the term has to pass."""
    match term:
        case syntax.Pairs(_, key, formula):
            bounds = [
                node.most
                for node in _conjuncts(formula)
                if isinstance(node, syntax.Chosen)
                and node.most is not None
                and node.terms[-1] == syntax.Name(key, span=node.span)
                and not any(_speaks(term, key) for term in node.terms[:-1])  # `(j, j) in select(hot)` asks all queries
            ]
            return min(bounds, default=None)
        case syntax.Gated(operand):
            return _most(operand)
        case syntax.Intersection(left, right):
            both = [bound for bound in (_most(left), _most(right)) if bound is not None]
            return min(both, default=None)
        case syntax.Difference(left, _):
            return _most(left)
        case _:
            return None


def _speaks(term: syntax.Term, name: str) -> bool:
    """Whether a core term depends on a variable."""
    match term:
        case syntax.Name(other):
            return other == name
        case syntax.Negative(inner):
            return _speaks(inner, name)
        case syntax.Arithmetic(_, left, right):
            return _speaks(left, name) or _speaks(right, name)
        case syntax.Function(_, arguments):
            return any(_speaks(each, name) for each in arguments)
        case syntax.Integer():
            return False
        case syntax.Coordinate():
            raise ValueError("not in core form: Coordinate")
        case _:
            assert_never(term)


def _conjuncts(formula: syntax.Formula) -> Iterator[syntax.Formula]:
    if isinstance(formula, syntax.And):
        yield from _conjuncts(formula.left)
        yield from _conjuncts(formula.right)
    else:
        yield formula
