"""Programs written by hand, each beside the dense mask of the pattern it computes.

The masks come from the patterns' definitions (queries x keys, logical positions), and share nothing with the compiler.
Tiles are 16 x 16 so that short sequences have whole, partial, ragged and empty tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from patternc.compiler.passes.order import STRAIGHT, Turn
from patternc.compiler.passes.program import NATURAL, Fan, Kernel, Order, Program, Range, Sweep, Term, Tile
from patternc.compiler.relations.integer import TRUE, All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var

TILE = 16
BlockTile = Tile(TILE, TILE)
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A program, and the pattern it stands for: query position, key position (arrays) -> bool."""

    program: Program
    related: Callable[[NDArray[np.int64], NDArray[np.int64]], Mask]


def const(value: int) -> Const:
    return Const(value)


def plus(left: Expr, right: Expr) -> Expr:
    return Binary("+", left, right)


def minus(left: Expr, right: Expr) -> Expr:
    return Binary("-", left, right)


def times(factor: int, right: Expr) -> Expr:
    return Binary("*", Const(factor), right)


def div(left: Expr, divisor: int) -> Expr:
    return Binary("//", left, Const(divisor))


def mod(left: Expr, divisor: int) -> Expr:
    return Binary("%", left, Const(divisor))


def less(left: Expr, right: Expr) -> Predicate:
    return Compare("<", left, right)


def at_most(left: Expr, right: Expr) -> Predicate:
    return Compare("<=", left, right)


I, J, T, A, B, C, N = (Var(name) for name in ("I", "J", "T", "a", "b", "c", "n"))  # noqa: E741
ZERO, ONE = Const(0), Const(1)


def one_term(name: str, term: Term, keys: tuple[Range, ...], queries: tuple[Range, ...], causal: bool) -> Program:
    return Program(
        name,
        causal,
        BlockTile,
        (term,),
        (Kernel(term.query, (Sweep(0, keys),)),),
        (Kernel(term.key, (Sweep(0, queries),)),),
    )


def dense_causal() -> Case:
    term = Term("dense", 1, NATURAL, NATURAL, STRAIGHT, at_most(B, A))
    keys = (Range(ZERO, I, False), Range(I, plus(I, ONE), True))
    queries = (Range(J, plus(J, ONE), True), Range(plus(J, ONE), T, False))
    return Case(one_term("dense_causal", term, keys, queries, True), lambda i, j: j <= i)


def dense_bidirectional() -> Case:
    term = Term("dense", 1, NATURAL, NATURAL, STRAIGHT, TRUE)
    everything = (Range(ZERO, T, False),)
    return Case(one_term("dense", term, everything, everything, False), lambda i, j: (i == i) & (j == j))


def sliding_window(width: int = 40) -> Case:
    """0 <= i - j < width. A tile is whole when its widest difference stays below the width."""
    gap = width - 1
    keep = All((at_most(B, A), less(minus(A, B), Const(width))))
    first, whole = div(minus(times(TILE, I), Const(gap)), TILE), (width // TILE) - 1
    keys = (
        Range(first, minus(I, Const(whole)), True),
        Range(Binary("max", minus(I, Const(whole)), ZERO), I, False),
        Range(I, plus(I, ONE), True),
    )
    last = plus(div(plus(times(TILE, J), Const(gap + TILE - 1)), TILE), ONE)
    queries = (
        Range(J, plus(J, ONE), True),
        Range(plus(J, ONE), plus(J, Const(whole + 1)), False),
        Range(plus(J, Const(whole + 1)), last, True),
    )
    term = Term(f"local({width})", 2, NATURAL, NATURAL, STRAIGHT, keep)
    program = one_term("sliding_window", term, keys, queries, True)
    return Case(program, lambda i, j: (j <= i) & (i - j < width))


def pieces(width: int = 40) -> Case:
    """A window tile by tile, and whole tiles further back: several ranges under one mask, and several under none."""
    near = tuple(range(-(-(width - 1) // TILE), -1, -1))
    keep = All((at_most(B, A), less(minus(A, B), Const(width))))
    terms = tuple(Term(name, 2, NATURAL, NATURAL, STRAIGHT, mask) for name, mask in (("local", keep), ("far", TRUE)))
    far = (8, 6, 4)

    def keys(steps: tuple[int, ...], masked: bool) -> tuple[Range, ...]:
        return tuple(Range(minus(I, Const(step)), minus(I, Const(step - 1)), masked) for step in steps)

    def queries(steps: tuple[int, ...], masked: bool) -> tuple[Range, ...]:
        return tuple(Range(plus(J, Const(step)), plus(J, Const(step + 1)), masked) for step in reversed(steps))

    program = Program(
        "pieces",
        True,
        BlockTile,
        terms,
        (Kernel(NATURAL, (Sweep(0, keys(near, True)), Sweep(1, keys(far, False)))),),
        (Kernel(NATURAL, (Sweep(0, queries(near, True)), Sweep(1, queries(far, False)))),),
    )
    return Case(program, lambda i, j: ((j <= i) & (i - j < width)) | np.isin(i // TILE - j // TILE, far))


def strided(width: int = 8, step: int = 8) -> Case:
    """local(width) | strided(step), causal: the stride in residue order, resumed from the window's (out, lse)."""
    near = All((at_most(B, A), less(minus(A, B), Const(width))))
    residue = Order(period=step, count=1, start=0, classes=step)
    # In residue order i - j = step * (a - b); the window holds the differences below width.
    far = All((at_most(B, A), at_most(Const(width), times(step, minus(A, B)))))
    terms = (
        Term(f"local({width})", 3, NATURAL, NATURAL, STRAIGHT, near),
        Term("strided", 4, residue, residue, STRAIGHT, far),
    )
    causal_keys = (Range(ZERO, plus(I, ONE), True),)
    causal_queries = (Range(J, T, True),)
    program = Program(
        "strided",
        True,
        BlockTile,
        terms,
        (
            Kernel(NATURAL, (Sweep(0, (Range(Binary("max", minus(I, ONE), ZERO), plus(I, ONE), True),)),)),
            Kernel(residue, (Sweep(1, causal_keys),)),
        ),
        (
            Kernel(NATURAL, (Sweep(0, (Range(J, plus(J, Const(2)), True),)),)),
            Kernel(residue, (Sweep(1, causal_queries),)),
        ),
    )
    return Case(program, lambda i, j: (j <= i) & ((i - j < width) | ((i - j) % step == 0)))


def fixed(period: int = 16, count: int = 4) -> Case:
    """Own block, or the last ``count`` of each earlier block of ``period``: two sweeps of one query kernel."""
    packed = Order(period, count, period - count, 1)
    own = All((at_most(B, A), Compare("==", div(A, period), div(B, period))))
    earlier = less(div(B, count), div(A, period))
    terms = (Term("block", 5, NATURAL, NATURAL, STRAIGHT, own), Term("fixed", 6, NATURAL, packed, STRAIGHT, earlier))
    # Query tile I is block I (tile = period); the earlier blocks hold 4*I packed keys, the last tile may be partial.
    summaries = (
        Range(ZERO, div(times(count, I), TILE), False),
        Range(div(times(count, I), TILE), div(plus(times(count, I), Const(TILE - 1)), TILE), True),
    )
    first_reader = plus(div(times(TILE, J), count), ONE)
    program = Program(
        "fixed",
        True,
        BlockTile,
        terms,
        (Kernel(NATURAL, (Sweep(0, (Range(I, plus(I, ONE), True),)), Sweep(1, summaries))),),
        (
            Kernel(NATURAL, (Sweep(0, (Range(J, plus(J, ONE), True),)),)),
            Kernel(packed, (Sweep(1, (Range(first_reader, T, True),)),)),
        ),
    )
    return Case(
        program,
        lambda i, j: (j <= i) & ((i // period == j // period) | (j % period >= period - count)),
    )


def rows(period: int = 16, count: int = 4, start: int = 12) -> Case:
    """Only queries i with i mod period >= start look, at every key. The other rows have no key."""
    packed = Order(period, count, start, 1)
    term = Term("rows", 7, packed, NATURAL, STRAIGHT, TRUE)
    everything = (Range(ZERO, T, False),)
    program = one_term("rows", term, everything, everything, False)
    return Case(program, lambda i, j: (i % period >= start) & (j == j))


def shifted(step: int = 4, shift: int = 3) -> Case:
    """j = i + shift (mod step), j <= i: key class differs from query class, ranks compare by class."""
    residue = Order(step, 1, 0, step)
    key_class = mod(plus(C, Const(shift)), step)
    # j <= i  <=>  step*b + kc <= step*a + c
    keep = at_most(plus(times(step, B), key_class), plus(times(step, A), C))
    term = Term("shifted", 8, residue, residue, Turn(shift), keep)
    keys = (Range(ZERO, plus(I, ONE), True),)
    program = one_term("shifted", term, keys, (Range(J, T, True),), True)
    return Case(program, lambda i, j: (j <= i) & ((j - i - shift) % step == 0))


def multiple(step: int = 7, factor: int = 3, shift: int = 5) -> Case:
    """j = factor * i + shift (mod step), j <= i."""
    residue = Order(step, 1, 0, step)
    key_class = mod(plus(times(factor, C), Const(shift)), step)
    keep = at_most(plus(times(step, B), key_class), plus(times(step, A), C))
    term = Term("multiple", 8, residue, residue, Turn(shift, factor), keep)
    keys = (Range(ZERO, plus(I, ONE), True),)
    program = one_term("multiple", term, keys, (Range(J, T, True),), True)
    return Case(program, lambda i, j: (j <= i) & ((j - factor * i - shift) % step == 0))


def first_keys(count: int = 5) -> Case:
    """The first keys, for everyone: a packed order that never comes round again; the tile does not divide by 5."""
    packed = Order(1 << 30, count, 0, 1)
    term = Term("first", 9, NATURAL, packed, STRAIGHT, TRUE)
    everything = (Range(ZERO, Select(less(N, ONE), ZERO, T), True),)
    return Case(one_term("first", term, everything, everything, False), lambda i, j: (i == i) & (j < count))


def diagonals() -> Case:
    """Own tile up to the diagonal, in tiles; besides, as diagonals, the keys 17 and 18 before the query, each a step of
    a fan, and 20 after an even query, but for the first 16 queries."""
    own = All((at_most(B, A), Compare("==", div(A, TILE), div(B, TILE))))
    difference, even = minus(B, A), Compare("==", mod(A, 2), ZERO)
    after = All((Compare("==", difference, Const(20)), even, at_most(Const(TILE), A)))
    far = AnyOf((Compare("==", difference, Const(-17)), Compare("==", difference, Const(-18)), after))
    terms = (Term("own", 10, NATURAL, NATURAL, STRAIGHT, own), Term("far", 11, NATURAL, NATURAL, STRAIGHT, far))

    def spans(still: Expr, first: int) -> tuple[Range, ...]:
        later = Select(less(still, Const(first)), Const(20), Const(21))
        at = minus(Var("d"), Const(18))
        return (
            Range(at, plus(at, ONE), False, Fan(ZERO, Const(2), 0), diagonal=True),
            Range(Const(20), later, True, diagonal=True),
        )

    program = Program(
        "diagonals",
        False,
        BlockTile,
        terms,
        (
            Kernel(NATURAL, (Sweep(0, (Range(I, plus(I, ONE), True),)),)),
            Kernel(NATURAL, (Sweep(1, spans(I, 1)),)),
        ),
        (
            Kernel(NATURAL, (Sweep(0, (Range(J, plus(J, ONE), True),)),)),
            Kernel(NATURAL, (Sweep(1, spans(J, 2)),)),
        ),
    )

    def related(i: NDArray[np.int64], j: NDArray[np.int64]) -> Mask:
        near = (j <= i) & (i // TILE == j // TILE)
        return near | (i - j == 17) | (i - j == 18) | ((j - i == 20) & (i % 2 == 0) & (i >= TILE))

    return Case(program, related)


def global_token(at: int = 3) -> Case:
    """One token sees all and is seen by all, as a row and a column; the others see besides those of their own tile."""
    alone = Order(1 << 24, 1, at, 1)
    row = Term("row", 12, alone, NATURAL, STRAIGHT, TRUE, Tile(1, TILE))
    column = Term(
        "column", 13, NATURAL, alone, STRAIGHT, AnyOf((less(A, Const(at)), less(Const(at), A))), Tile(TILE, 1)
    )
    others = tuple(AnyOf((less(rank, Const(at)), less(Const(at), rank))) for rank in (A, B))
    own = Term("own", 14, NATURAL, NATURAL, STRAIGHT, All((*others, Compare("==", div(A, TILE), div(B, TILE)))))
    own_tile, all_of_it = Range(ZERO, T, True), (Range(ZERO, T, False),)
    program = Program(
        "global_token",
        False,
        BlockTile,
        (row, column, own),
        (
            Kernel(NATURAL, (Sweep(2, (Range(I, plus(I, ONE), True),)),)),
            Kernel(NATURAL, (Sweep(1, (own_tile,)),)),
            Kernel(alone, (Sweep(0, all_of_it),)),
        ),
        (
            Kernel(NATURAL, (Sweep(2, (Range(J, plus(J, ONE), True),)),)),
            Kernel(NATURAL, (Sweep(0, all_of_it),)),
            Kernel(alone, (Sweep(1, (own_tile,)),)),
        ),
    )
    return Case(program, lambda i, j: (i == at) | (j == at) | (i // TILE == j // TILE))


CASES = {
    case.__name__: case
    for case in (
        dense_causal, dense_bidirectional, sliding_window, pieces, strided, fixed, rows, shifted, multiple, first_keys,
        diagonals, global_token,
    )
}  # fmt: skip
