"""The oracle: a pattern at one concrete length, as a boolean matrix.

Every definition is evaluated pair by pair as it is written in the language's reference; nothing is simplified, and
nothing is shared with the rest of the compiler. It is what proofs, passes and kernels are tested against, and what
confirms a witness before it is shown.

What a pattern leaves open is settled by ``choice``: ``must`` and ``may`` are the pairs that attend whatever is chosen
and those that could; a mapping names one example for each source. Seeded tables are read exactly: a length is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from ..patterns_dsl import syntax
from ..patterns_dsl.syntax import Direction, Expression, Formula, Term
from .effort import LARGEST_STEP, PRODUCT_WORK, effort, magnitude, spend
from .seeded import drawn

Mask: TypeAlias = NDArray[np.bool_]
Values: TypeAlias = Mapping[str, NDArray[Any]]
Positions: TypeAlias = Sequence[int] | NDArray[np.int64]
Choice: TypeAlias = Literal["must", "may"] | Mapping[str, int]


def mask(
    expression: Expression, direction: Direction, n: int, nk: int | None = None, *, choice: Choice = "may"
) -> Mask:
    """Which query attends to which key, [Nq, Nk].

    ``n`` is the number of tokens, in a cross pattern that of queries, with ``nk`` that of keys. In a causal pattern
    every operand, those of ``@`` and ``not`` included, is meant within j <= i.
    Raises ValueError for an expression that is not in core form.
    """
    return block(expression, direction, n, nk, choice=choice)


def block(
    expression: Expression,
    direction: Direction,
    n: int,
    nk: int | None = None,
    *,
    queries: Positions | None = None,
    keys: Positions | None = None,
    choice: Choice = "may",
) -> Mask:
    """The rows ``queries`` and columns ``keys`` of the mask; all of them where they are not given.

    Raises TooLong where the allowance of ``effort`` is used up.
    """
    count = n if nk is None else nk
    if direction is not Direction.CROSS and count != n:
        raise ValueError(f"a {direction} pattern has as many keys as queries; got {n} and {count}")
    rows, columns = _indices(queries, n)[:, None], _indices(keys, count)[None, :]
    lengths = {"nq": n, "nk": count} if direction is Direction.CROSS else {"n": n}

    def go(node: Expression, query: NDArray[np.int64], key: NDArray[np.int64], choice: Choice) -> Mask:
        spend(len(query) * key.size)
        within = key <= query if direction is Direction.CAUSAL else np.ones((len(query), key.size), dtype=np.bool_)
        match node:
            case syntax.Pairs(query_name, key_name, formula):
                spend(within.size * effort(formula, max(n, count)))
                values = {name: np.asarray(value, dtype=np.int64) for name, value in lengths.items()}
                values |= {query_name: query, key_name: key}
                if max(n, count, magnitude(formula, max(n, count))) >= 2**62:
                    # 64 bits would overflow: Python's own integers do not.
                    values = {name: value.astype(object) for name, value in values.items()}
                return within & _holds(formula, values, _Case(max(n, count), direction, choice))
            case syntax.Union(left, right):
                return go(left, query, key, choice) | go(right, query, key, choice)
            case syntax.Intersection(left, right):
                return go(left, query, key, choice) & go(right, query, key, choice)
            case syntax.Difference(left, right):
                return go(left, query, key, choice) & ~go(right, query, key, _opposite(choice))
            case syntax.Complement(operand):
                return within & ~go(operand, query, key, _opposite(choice))
            case syntax.Gated(operand, gate):
                is_open = choice == "may" if isinstance(choice, str) else bool(choice[gate])
                return go(operand, query, key, choice) & is_open
            case syntax.Pooled(operand):
                return go(operand, query, key, choice)
            case syntax.Composition(left, right):
                if n != count:
                    raise ValueError("`@` needs as many keys as queries: the tokens between are both")
                spend(len(query) * n * key.size / PRODUCT_WORK)
                return _through(
                    n,
                    lambda between: go(left, query, between[None, :], choice),
                    lambda between: go(right, between[:, None], key, choice),
                )
            case syntax.Positions() | syntax.Elements() | syntax.Call():
                raise ValueError(f"not in core form: {type(node).__name__}")
            case _:
                assert_never(node)

    return go(expression, rows, columns, choice)


def _through(n: int, left: Callable[[NDArray[np.int64]], Mask], right: Callable[[NDArray[np.int64]], Mask]) -> Mask:
    """Two masks composed, from their columns and rows of some of the n tokens between: some at a time, so that for few
    rows no table of all tokens by all is made."""
    step = max(1, LARGEST_STEP // max(1, n))
    found = compose(left(np.arange(min(n, step))), right(np.arange(min(n, step))))
    for start in range(step, n, step):
        between = np.arange(start, min(n, start + step))
        found |= compose(left(between), right(between))
    return found


def _indices(asked: Positions | None, length: int) -> NDArray[np.int64]:
    spend(length)
    return np.arange(length, dtype=np.int64) if asked is None else np.asarray(asked, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Case:
    """What a formula depends on beside its values: ``exists k`` ranges over 0 <= k < positions."""

    positions: int
    direction: Direction
    choice: Choice


def _opposite(choice: Choice) -> Choice:
    """Under a negation the pairs that must become those that may."""
    return choice if not isinstance(choice, str) else "may" if choice == "must" else "must"


def _holds(formula: Formula, values: Values, case: _Case) -> Mask:
    """Where a formula is true, broadcast over the coordinates."""
    match formula:
        case syntax.Comparison(terms, operators):
            numbers = [_number(term, values) for term in terms]
            result: Mask = np.asarray(True)
            for operator, left, right in zip(operators, numbers, numbers[1:], strict=False):
                result = result & np.asarray(_compare(operator, left, right), dtype=np.bool_)
            return result
        case syntax.And(left, right):
            return _holds(left, values, case) & _holds(right, values, case)
        case syntax.Or(left, right):
            return _holds(left, values, case) | _holds(right, values, case)
        case syntax.Not(inner):
            return ~_holds(inner, values, replace(case, choice=_opposite(case.choice)))
        case syntax.Exists(variable, body, None):
            result = np.asarray(False)
            for position in range(case.positions):
                result = result | _holds(body, {**values, variable: np.asarray(position, dtype=np.int64)}, case)
            return result
        case syntax.Chosen(source, _, must, may, examples):
            if isinstance(case.choice, str):
                return _holds(must if case.choice == "must" else may, values, case)
            return _holds(examples[case.choice[source]].formula, values, case)
        case syntax.Drawn(query, key, length, count, size, seed):
            sides = (_number(term, values) for term in (query, key, length))
            where, what, length = sides
            return drawn(where, what, length, count, size, seed, causal=case.direction is Direction.CAUSAL)
        case syntax.Exists() | syntax.Membership() | syntax.PairMembership():
            raise ValueError(f"not in core form: {type(formula).__name__}")
        case _:
            assert_never(formula)


def _number(term: Term, values: Values) -> Any:
    """The value of a term; ``div`` and ``mod`` round towards minus infinity, as in Python."""
    match term:
        case syntax.Integer(value):
            return np.asarray(value, dtype=np.int64 if abs(value) < 2**62 else object)
        case syntax.Name(name):
            return values[name]
        case syntax.Negative(inner):
            return -_number(inner, values)
        case syntax.Arithmetic(operator, left, right):
            return _arithmetic(operator, _number(left, values), _number(right, values))
        case syntax.Coordinate() | syntax.Function():
            raise ValueError(f"not in core form: {type(term).__name__}")
        case _:
            assert_never(term)


def _arithmetic(operator: str, left: NDArray[Any], right: NDArray[Any]) -> Any:
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


def _compare(operator: str, left: NDArray[Any], right: NDArray[Any]) -> Any:
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
