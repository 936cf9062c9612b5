"""What brute force has to reckon with: the time of a formula at one pair, the size of its numbers, and an allowance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import assert_never

from ..patterns_dsl import syntax
from ..patterns_dsl.syntax import Formula, Term
from .ceiling import take

LARGEST_STEP = 2**25
"""Places that are looked at in one step: memory for their coordinates, and about a second."""

PRODUCT_WORK = 2**10
"""How many multiplications of a boolean product take the time of one such place."""


class TooLong(Exception):
    """A length at which brute force would take too long."""


_LEFT: ContextVar[float] = ContextVar("places that brute force may still look at", default=math.inf)


@contextmanager
def allowance(places: float) -> Iterator[None]:
    """Bound what brute force looks at inside, all steps together; ``spend`` raises TooLong where it is used up. An
    allowance inside another is one of its own."""
    token = _LEFT.set(places)
    try:
        yield
    finally:
        _LEFT.reset(token)


def spend(places: float) -> None:
    """Before looking at so many places. Without an allowance there is no bound. Raises TooLong, Heavier."""
    left = _LEFT.get()
    if left < math.inf and (places > LARGEST_STEP or places > left):
        raise TooLong(f"{places:.2g} places are too many to try one by one")
    take(places)
    _LEFT.set(left - places)


def effort(formula: Formula, positions: int) -> float:
    """The time that a formula takes at one pair; a comparison takes a quarter, no formula less than 1."""

    def go(node: Formula) -> float:
        match node:
            case syntax.And(left, right) | syntax.Or(left, right):
                return go(left) + go(right)
            case syntax.Not(inner):
                return go(inner)
            case syntax.Exists(_, body, _):
                return positions * max(1, go(body))
            case syntax.Chosen(_, _, must, may, examples):
                return max(go(must), go(may), *(go(example.formula) for example in examples))
            case syntax.Drawn():
                return 4
            case syntax.Comparison() | syntax.Membership() | syntax.PairMembership():
                return 1 / 4
            case _:
                assert_never(node)

    return max(1, go(formula))


def magnitude(node: Formula | Term, positions: int) -> int:
    """A bound of the absolute values that occur in a formula."""
    match node:
        case syntax.Comparison(terms, _):
            return max(magnitude(term, positions) for term in terms)
        case syntax.And(left, right) | syntax.Or(left, right):
            return max(magnitude(left, positions), magnitude(right, positions))
        case syntax.Not(inner) | syntax.Exists(_, inner, _) | syntax.Negative(inner):
            return magnitude(inner, positions)
        case syntax.Integer(value):
            return abs(value)
        case syntax.Name():
            return positions
        case syntax.Arithmetic("*", left, right):
            return max(1, magnitude(left, positions)) * max(1, magnitude(right, positions))
        case syntax.Arithmetic(_, left, right):
            return magnitude(left, positions) + magnitude(right, positions)
        case syntax.Chosen(_, _, must, may, examples):
            parts = (must, may, *(example.formula for example in examples))
            return max(magnitude(part, positions) for part in parts)
        case syntax.Drawn(query, key, length):
            return max(magnitude(term, positions) for term in (query, key, length))
        case syntax.Membership() | syntax.PairMembership() | syntax.Coordinate() | syntax.Function():
            raise ValueError(f"not in core form: {type(node).__name__}")
        case _:
            assert_never(node)
