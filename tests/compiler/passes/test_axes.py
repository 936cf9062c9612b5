"""Windows on a grid in natural order, row by row: which tiles they touch, and that it is proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from differences import differences
from rows_of_tiles import ROWS, TILE, bound_of, program

from patternc.compiler import bruteforce
from patternc.compiler.explain.cost import cost
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import read
from patternc.compiler.lowering.confirm import Unconfirmed, confirm
from patternc.compiler.passes.program import Fan, Program, Range
from patternc.compiler.relations.denote import denote
from patternc.compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Select, Var
from patternc.testing.verify.program import pair_counts

SIDES = ("forward", "backward")


def the_range(found: Program, side: str) -> Range:
    [kernel] = getattr(found, side)
    [sweep] = kernel.sweeps
    [span] = sweep.ranges
    return span


def with_range(found: Program, side: str, span: Range) -> Program:
    [kernel] = getattr(found, side)
    sweep = replace(kernel.sweeps[0], ranges=(span,))
    return replace(found, **{side: (replace(kernel, sweeps=(sweep,)),)})


def confirmed(found: Program, name: str) -> None:
    bound = bound_of(name)
    confirm(emit(found), denote(bound.union, bound.direction))


@pytest.mark.parametrize("name", ROWS)
def test_the_program_is_the_pattern(name: str) -> None:
    """By brute force, at lengths that end within a tile, a row and a plane."""
    found, bound = program(name), bound_of(name)
    confirmed(found, name)
    assert differences(read(emit(found)), found) == []
    for n in (1, 130, 520, 1736):
        wanted = bruteforce.mask(bound.union, bound.direction, n)
        for side in SIDES:
            assert np.array_equal(pair_counts(found, side, n), wanted), (n, side)


def test_blocks_of_whole_tiles_need_no_mask() -> None:
    for side in SIDES:
        span = the_range(program("blocks"), side)
        assert not span.masked and span.fan is not None and span.fan.row == ROWS["blocks"]


def test_they_are_taken_and_compute_nothing_in_vain() -> None:
    bound, planes = bound_of("blocks"), 5
    # Each block sees 27 blocks, each of which has two tiles a side.
    assert cost(bound, planes * 512, 64, TILE).tiles == planes * 16 * 27 * 2 * 2


def _grown(expr: object, by: int) -> Binary:
    return Binary("+", expr, Const(by))


def _fan(span: Range, **ends: object) -> Range:
    assert isinstance(span.fan, Fan)
    return replace(span, fan=replace(span.fan, **ends))


def _everywhere(span: Range) -> Range:
    """Rows that the window does not have are not left out."""
    assert isinstance(span.hi, Select)
    return replace(span, hi=span.hi.then)


BREAKS: dict[str, Callable[[Range], Range]] = {
    "columns start late": lambda span: replace(span, lo=_grown(span.lo, 1)),
    "columns end early": lambda span: replace(span, hi=_grown(span.hi, -1)),
    "columns reach the next row": lambda span: replace(span, hi=_grown(span.hi, 40)),
    "a row too late": lambda span: _fan(span, first=_grown(span.fan.first, 1)),
    "a row too few": lambda span: _fan(span, last=_grown(span.fan.last, -1)),
    "another row": lambda span: replace(span, lo=_grown(span.lo, 8), hi=_grown(span.hi, 8)),
    "all rows between": _everywhere,
    "no rows in the middle": lambda span: replace(
        span, hi=Select(Compare("==", Var("d"), Const(0)), Const(0), span.hi)
    ),
}
QUICK = ("columns start late", "columns end early", "a row too late", "a row too few", "no rows in the middle")


@pytest.mark.parametrize(
    ("broken", "side"),
    [*((broken, "forward") for broken in BREAKS), *((broken, "backward") for broken in QUICK)],
)
def test_a_broken_range_is_seen(broken: str, side: str) -> None:
    found = program("blocks")
    with pytest.raises(Unconfirmed):
        confirmed(with_range(found, side, BREAKS[broken](the_range(found, side))), "blocks")


def test_a_mask_that_is_missing_is_seen() -> None:
    found = program("tokens")
    with pytest.raises(Unconfirmed, match="not in the term"):
        confirmed(with_range(found, "forward", replace(the_range(found, "forward"), masked=False)), "tokens")
    [term] = found.terms
    same_tile = Compare("==", Binary("//", Var("a"), Const(16)), Binary("//", Var("b"), Const(16)))
    further = Compare("==", Var("b"), Binary("+", Var("a"), Const(6)))
    with pytest.raises(Unconfirmed, match=r"does not have: {'n': 7, 'i': 0, 'j': 6}"):
        confirmed(replace(found, terms=(replace(term, keep=AnyOf((term.keep, All((same_tile, further))))),)), "tokens")
