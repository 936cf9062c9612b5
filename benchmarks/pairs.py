"""How many pairs a pattern has at a length, exactly, and the blocks that hold one.

Its closed form is first evaluated on intervals: all queries of a block, and all keys. Of most blocks that says whether
all of their pairs belong to the pattern, or none; only the others are looked into, pair by pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias, assert_never

import numpy as np

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.relations.denote import denote
from patternc.compiler.relations.integer import (
    All,
    AnyOf,
    Binary,
    Compare,
    Const,
    Expr,
    Predicate,
    Select,
    Var,
    apply,
    evaluate,
    length_values,
)
from patternc.compiler.relations.isl.context import budget
from patternc.compiler.relations.relation import universe
from patternc.compiler.relations.settle import Extent, drawn, settle
from patternc.patterns_dsl.syntax import Direction

OPERATIONS = 3_000_000
"""For a closed form; that of `sliding_tile` takes most."""

TOGETHER = 64
"""Blocks that are looked into at once: as many as the caches of a processor hold."""

Ends: TypeAlias = tuple[Any, Any]
"""The least and the greatest value, arrays over the blocks."""

Sure: TypeAlias = tuple[Any, Any]
"""Whether a predicate holds of all pairs of a block; whether it may hold of one."""


@dataclass(frozen=True, slots=True)
class Counted:
    """``queries`` that have a key, and ``keys`` that have a query; ``blocks`` that hold a pair."""

    pairs: int
    blocks: int
    queries: int
    keys: int


def counted(pattern: pc.Pattern, n: int, side: int) -> Counted:
    """Of the union of the steps, in blocks of ``side`` x ``side``; seeded tables draw as they do at this length.
    Raises BudgetExceeded where the relation has no closed form within its budget."""
    direction, union = pattern.direction, pattern.bound.union
    closed = None
    if not drawn(union):
        with budget(OPERATIONS):
            closed = denote(settle(union, Extent.MAY), direction).pairs.predicate(universe(direction).pairs)
    first = np.arange(0, n, side)
    last = np.minimum(first + side, n) - 1
    every, some = _sure(closed, first, last, n)
    if direction is Direction.CAUSAL:
        # The closed form is exact within the pattern's universe, of which only this bound can be broken here.
        every, some = every & (last[None, :] <= first[:, None]), some & (first[None, :] <= last[:, None])
    sizes = last - first + 1
    pairs, blocks = int((every * np.outer(sizes, sizes)).sum()), int(every.sum())
    queries, keys = np.repeat(every.any(axis=1), side)[:n], np.repeat(every.any(axis=0), side)[:n]
    for row, ahead in enumerate(some & ~every):
        for part in np.split(ahead.nonzero()[0], range(TOGETHER, int(ahead.sum()), TOGETHER)):
            i = np.arange(first[row], last[row] + 1)
            j = np.concatenate([np.arange(first[block], last[block] + 1) for block in part] or [i[:0]])
            inside = _pairs(pattern, closed, n, i, j)
            touched = inside.any(axis=0)
            pairs += int(np.count_nonzero(inside))
            queries[i] |= inside.any(axis=1)
            keys[j] |= touched
            blocks += len(np.unique(j[touched] // side))
    return Counted(pairs, blocks, int(queries.sum()), int(keys.sum()))


def _pairs(pattern: pc.Pattern, closed: Predicate | None, n: int, i: Any, j: Any) -> Any:
    """[queries, keys]: which of them belong to the pattern."""
    if closed is None:
        union = pattern.bound.union
        return bruteforce.block(union, pattern.direction, n, None, queries=i, keys=j, choice="may")
    row, column = i[:, None], j[None, :]
    found = evaluate(closed, {"i": row, "j": column, **length_values(n)}, np)
    found = np.broadcast_to(found, (len(i), len(j)))
    return found & (column <= row) if pattern.direction is Direction.CAUSAL else found


def _sure(closed: Predicate | None, first: Any, last: Any, n: int) -> Sure:
    """[query blocks, key blocks]: which of them are whole, and which may hold a pair."""
    shape = len(first), len(first)
    if closed is None:
        return np.zeros(shape, dtype=np.bool_), np.ones(shape, dtype=np.bool_)
    lengths = {name: (value, value) for name, value in length_values(n).items()}
    ends = {"i": (first[:, None], last[:, None]), "j": (first[None, :], last[None, :]), **lengths}
    every, some = judged(closed, ends)
    return np.broadcast_to(every, shape), np.broadcast_to(some, shape)


def judged(predicate: Predicate, ends: dict[str, Ends]) -> Sure:
    """Whether it surely holds where each variable is anywhere between its ends, and whether it may."""
    match predicate:
        case Compare(operator, left, right):
            return _compared(operator, spread(left, ends), spread(right, ends))
        case All(parts):
            found = [judged(part, ends) for part in parts]
            return _joined(np.logical_and, [one for one, _ in found], True), _joined(
                np.logical_and, [one for _, one in found], True
            )
        case AnyOf(parts):
            found = [judged(part, ends) for part in parts]
            return _joined(np.logical_or, [one for one, _ in found], False), _joined(
                np.logical_or, [one for _, one in found], False
            )
        case _:
            assert_never(predicate)


def _joined(join: Any, parts: list[Any], found: Any) -> Any:
    for part in parts:
        found = join(found, part)
    return found


def _compared(operator: str, left: Ends, right: Ends) -> Sure:
    (low, high), (least, most) = left, right
    match operator:
        case "<":
            return high < least, low < most
        case "<=":
            return high <= least, low <= most
        case ">" | ">=":
            return _compared("<" if operator == ">" else "<=", right, left)
        case "==":
            return (low == most) & (high == least), (low <= most) & (least <= high)
        case "!=":
            sure, may = _compared("==", left, right)
            return np.logical_not(may), np.logical_not(sure)
        case _:
            raise ValueError(f"unknown comparison {operator!r}")


def spread(expr: Expr, ends: dict[str, Ends]) -> Ends:
    """Between which ends it is; not always the nearest ones."""
    match expr:
        case Const(value):
            return value, value
        case Var(name):
            return ends[name]
        case Select(condition, then, otherwise):
            sure, may = judged(condition, ends)
            (low, high), (least, most) = spread(then, ends), spread(otherwise, ends)
            either = np.minimum(low, least), np.maximum(high, most)
            return tuple(  # type: ignore[return-value]
                np.where(sure, yes, np.where(may, hull, no))
                for yes, no, hull in zip((low, high), (least, most), either, strict=True)
            )
        case Binary("%", left, Const(modulus)):
            low, high = spread(left, ends)
            within = low // modulus == high // modulus
            return np.where(within, low % modulus, 0), np.where(within, high % modulus, modulus - 1)
        case Binary(operator, left, right):
            # Monotonic in either operand, or linear: the ends are those of ends.
            corners = [apply(operator, *pair, np) for pair in product(spread(left, ends), spread(right, ends))]
            return np.minimum.reduce(np.broadcast_arrays(*corners)), np.maximum.reduce(np.broadcast_arrays(*corners))
        case _:
            assert_never(expr)
