"""magnitude: up to which length the integers of a program, in its ranges and its masks, fit a number of bits.

A relation is of all integers, its program is evaluated in 32 bits by a generated kernel and in 64 elsewhere: what would
overflow there is refused. The bound is that of every intermediate value, each variable being as large as the length
lets it be, signs apart; so it may be too low, by the factors that cancel, and is never too high.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import assert_never

from .passes.pinned import Pinned
from .passes.program import Program, Range, Term
from .relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var


def fits(program: Program, n: int, bits: int) -> bool:
    """Whether everything at up to n tokens, of either side, fits signed integers of so many bits."""
    # Asked of powers of two: a sequence that grows token by token asks once more each time that it has doubled.
    return n <= _longest(Pinned(program), 1 << max(0, n - 1).bit_length(), bits)


@lru_cache(maxsize=1024)
def _longest(pinned: Pinned[Program], most: int, bits: int) -> int:
    return longest(pinned.program, most, bits)


def longest(program: Program, most: int, bits: int) -> int:
    """The most tokens, no more than ``most``, up to which everything fits; -1 where no length does."""
    if largest(program, most) < 1 << (bits - 1):
        return most
    low, high = -1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if largest(program, middle) < 1 << (bits - 1) else (low, middle - 1)
    return low


def largest(program: Program, n: int) -> int:
    """No intermediate value at up to n tokens is larger, signs apart."""
    found = 0
    for term in program.terms:
        found = max(found, of_predicate(term.keep, _ranks(term, n)))
    for kernel in (*program.forward, *program.backward):
        for sweep in kernel.sweeps:
            most = _ranks(program.terms[sweep.term], n)
            found = max(found, *(_of_range(span, most) for span in sweep.ranges))
    return found


def _ranks(term: Term, n: int) -> dict[str, int]:
    """How large the variables of a term can be. What a kernel finds of ranks that do not exist is used by nobody."""
    query, key = (order.ranks(0, n) for order in (term.query, term.key))
    lengths = dict.fromkeys(("n", "nq", "nk"), n)
    return lengths | {"a": query, "I": query, "b": key, "J": key, "T": max(query, key), "c": term.query.classes}


def _of_range(span: Range, most: Mapping[str, int]) -> int:
    ends: tuple[Expr, ...] = (span.lo, span.hi)
    found = 0
    if span.fan is not None:
        steps = [_of(end, most) for end in (span.fan.first, span.fan.last)]
        found = max(peak for _, peak in steps)
        most = {**most, "d": max(value for value, _ in steps)}
    return max(found, *(_of(end, most)[1] for end in ends))


def _of(expr: Expr, most: Mapping[str, int]) -> tuple[int, int]:
    """(the most that the value is, the most that it or a part of it is)."""
    match expr:
        case Const(value):
            return abs(value), abs(value)
        case Var(name):
            return most[name], most[name]
        case Select(condition, then, otherwise):
            (one, one_peak), (two, two_peak) = _of(then, most), _of(otherwise, most)
            return max(one, two), max(one_peak, two_peak, of_predicate(condition, most))
        case Binary(operator, left, right):
            (one, one_peak), (two, two_peak) = _of(left, most), _of(right, most)
            value = _applied(operator, one, two)
            # Rounding down is a remainder more than division of a negative number is.
            return value, max(one_peak, two_peak, value, one + two if operator in ("//", "%") else 0)
        case _:
            assert_never(expr)


def _applied(operator: str, left: int, right: int) -> int:
    match operator:
        case "+" | "-":
            return left + right
        case "*":
            return left * right
        case "//":
            return left // max(1, right) + 1
        case "%":
            return max(0, right - 1)
        case "min" | "max":
            return max(left, right)
        case _:
            raise ValueError(f"unknown operator {operator!r}")


def of_predicate(predicate: Predicate, most: Mapping[str, int]) -> int:
    """No intermediate value is larger, signs apart, where each variable is at most so large."""
    return max((_of_comparison(part, most) for part in _comparisons(predicate)), default=0)


def _of_comparison(comparison: Compare, most: Mapping[str, int]) -> int:
    """Of the difference of both sides: kernels ask for its sign (kernels/emit/spell_mask.py)."""
    (left, left_peak), (right, right_peak) = _of(comparison.left, most), _of(comparison.right, most)
    return max(left_peak, right_peak, left + right + 1)


def _comparisons(predicate: Predicate) -> Iterator[Compare]:
    match predicate:
        case Compare():
            yield predicate
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _comparisons(part)
        case _:
            assert_never(predicate)
