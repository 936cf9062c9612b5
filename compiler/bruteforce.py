"""The oracle: a pattern at one concrete length, as a boolean matrix.

Every definition is evaluated pair by pair as it is written in the language's reference; nothing is simplified, and
nothing is shared with the rest of the compiler. It is what proofs, passes and kernels are tested against, and what
confirms a witness before it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from ..patterns_dsl import syntax
from ..patterns_dsl.syntax import Direction, Expression, Formula, Term

Mask: TypeAlias = NDArray[np.bool_]
Values: TypeAlias = Mapping[str, NDArray[np.int64]]


def mask(expression: Expression, direction: Direction, n: int, nk: int | None = None) -> Mask:
    """Which query attends to which key, [Nq, Nk].

    ``n`` is the number of tokens, in a cross pattern that of queries, with ``nk`` that of keys. In a causal pattern
    every operand, those of ``@`` and ``not`` included, is meant within j <= i.
    Raises ValueError for an expression that is not in core form.
    """
    keys = n if nk is None else nk
    if direction is not Direction.CROSS and keys != n:
        raise ValueError(f"a {direction} pattern has as many keys as queries; got {n} and {keys}")
    query = np.arange(n, dtype=np.int64)[:, None]
    key = np.arange(keys, dtype=np.int64)[None, :]
    within = key <= query if direction is Direction.CAUSAL else np.ones((n, keys), dtype=np.bool_)

    def go(node: Expression) -> Mask:
        match node:
            case syntax.Pairs(query_name, key_name, formula):
                lengths = {"nq": n, "nk": keys} if direction is Direction.CROSS else {"n": n}
                values = {name: np.asarray(length, dtype=np.int64) for name, length in lengths.items()}
                return within & _holds(formula, {**values, query_name: query, key_name: key}, max(n, keys))
            case syntax.Union(left, right):
                return go(left) | go(right)
            case syntax.Intersection(left, right):
                return go(left) & go(right)
            case syntax.Difference(left, right):
                return go(left) & ~go(right)
            case syntax.Complement(operand):
                return within & ~go(operand)
            case syntax.Composition(left, right):
                if n != keys:
                    raise ValueError("`@` needs as many keys as queries: the tokens between are both")
                return compose(go(left), go(right))
            case syntax.Positions() | syntax.Elements() | syntax.Call():
                raise ValueError(f"not in core form: {type(node).__name__}")
            case _:
                assert_never(node)

    return go(expression)


def _holds(formula: Formula, values: Values, positions: int) -> Mask:
    """Where a formula is true, broadcast over the coordinates; ``exists k`` ranges over 0 <= k < positions."""
    match formula:
        case syntax.Comparison(terms, operators):
            numbers = [_number(term, values) for term in terms]
            result: Mask = np.asarray(True)
            for operator, left, right in zip(operators, numbers, numbers[1:], strict=False):
                result = result & _compare(operator, left, right)
            return result
        case syntax.And(left, right):
            return _holds(left, values, positions) & _holds(right, values, positions)
        case syntax.Or(left, right):
            return _holds(left, values, positions) | _holds(right, values, positions)
        case syntax.Not(inner):
            return ~_holds(inner, values, positions)
        case syntax.Exists(variable, body, None):
            result = np.asarray(False)
            for position in range(positions):
                result = result | _holds(body, {**values, variable: np.asarray(position, dtype=np.int64)}, positions)
            return result
        case syntax.Exists() | syntax.Membership():
            raise ValueError(f"not in core form: {type(formula).__name__}")
        case _:
            assert_never(formula)


def _number(term: Term, values: Values) -> NDArray[np.int64]:
    """The value of a term; ``div`` and ``mod`` round towards minus infinity, as in Python."""
    match term:
        case syntax.Integer(value):
            return np.asarray(value, dtype=np.int64)
        case syntax.Name(name):
            return values[name]
        case syntax.Negative(inner):
            return -_number(inner, values)
        case syntax.Arithmetic(operator, left, right):
            return _arithmetic(operator, _number(left, values), _number(right, values))
        case _:
            assert_never(term)


def _arithmetic(operator: str, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    match operator:
        case "+":
            return np.add(left, right)
        case "-":
            return np.subtract(left, right)
        case "*":
            return np.multiply(left, right)
        case "div":
            return np.floor_divide(left, right)
        case "mod":
            return np.mod(left, right)
        case _:
            raise ValueError(f"not in core form: {operator!r}")


def _compare(operator: str, left: NDArray[np.int64], right: NDArray[np.int64]) -> Mask:
    match operator:
        case "<":
            return np.less(left, right)
        case "<=":
            return np.less_equal(left, right)
        case ">":
            return np.greater(left, right)
        case ">=":
            return np.greater_equal(left, right)
        case "=":
            return np.equal(left, right)
        case "!=":
            return np.not_equal(left, right)
        case _:
            raise ValueError(f"unknown comparison {operator!r}")


def compose(left: Mask, right: Mask) -> Mask:
    """``left @ right``: i reaches j when left has (i, k) and right has (k, j) for some k."""
    # Counts up to n are exact in float32, and its product runs on BLAS, which NumPy's integer product does not.
    product: Mask = left.astype(np.float32) @ right.astype(np.float32) > 0
    return product


def hops(masks: Sequence[Mask], steps: int) -> Mask:
    """Who has heard of whom after some layers: R_0 = I, R_l = (A_l | I) @ R_(l-1), the masks taken in turn.

    The identity is the residual stream (Child et al. 2019, section 4.2 with 5.2).
    """
    reached = np.eye(len(masks[0]), dtype=np.bool_)
    for layer in range(steps):
        reached = compose(masks[layer % len(masks)], reached) | reached
    return reached


def reachable_ever(masks: Sequence[Mask]) -> Mask:
    """``hops`` for any number of layers: taken to its fixed point."""
    reached = hops(masks, 0)
    while True:
        further = reached
        for each in masks:
            further = compose(each, further) | further
        if np.array_equal(further, reached):
            return reached
        reached = further
