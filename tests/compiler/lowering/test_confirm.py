"""confirm sees every way in which a pass could be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from expressions import pattern

from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.lowering.confirm import Unconfirmed, confirm
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.order import Turn
from patternc.compiler.passes.program import Order, Program, Tile
from patternc.compiler.relations.integer import TRUE, Binary, Const
from patternc.patterns_dsl.syntax import Direction

EXPRESSION = "local(20) | strided(16) | fixed(32, 4)"


@pytest.fixture(scope="module")
def program() -> Program:
    return lower(pattern(EXPRESSION).bound.union, Direction.CAUSAL, "p", Tile(16, 16)).program


def _term(program: Program, index: int, **changes: object) -> Program:
    terms = list(program.terms)
    terms[index] = replace(terms[index], **changes)
    return replace(program, terms=tuple(terms))


def _range(program: Program, side: str, change: Callable[[object], object]) -> Program:
    kernels = list(getattr(program, side))
    sweep = kernels[0].sweeps[0]
    spans = (change(sweep.ranges[0]), *sweep.ranges[1:])
    kernels[0] = replace(kernels[0], sweeps=(replace(sweep, ranges=spans), *kernels[0].sweeps[1:]))
    return replace(program, **{side: tuple(kernels)})


def _grown(expr: object, by: int) -> Binary:
    return Binary("+", expr, Const(by))


BREAKS: dict[str, Callable[[Program], Program]] = {
    "a mask is dropped": lambda p: _term(p, 0, keep=TRUE),
    "a range starts late": lambda p: _range(p, "forward", lambda r: replace(r, lo=_grown(r.lo, 1))),
    "a range ends early": lambda p: _range(p, "forward", lambda r: replace(r, hi=_grown(r.hi, -1))),
    "a backward range ends early": lambda p: _range(p, "backward", lambda r: replace(r, hi=_grown(r.hi, -1))),
    "a masked range loses its mask": lambda p: _range(p, "forward", lambda r: replace(r, masked=False)),
    "a kernel is lost": lambda p: replace(p, forward=p.forward[:-1]),
    "a backward kernel is lost": lambda p: replace(p, backward=p.backward[:-1]),
    "a kernel runs twice": lambda p: replace(p, forward=(*p.forward, p.forward[-1])),
    "the key class is shifted": lambda p: _term(p, _residue(p), turn=Turn(1)),
    "the key class is a multiple": lambda p: _term(p, _residue(p), turn=Turn(0, 3)),
    "an order has the wrong period": lambda p: _period(p),
}


def _residue(program: Program) -> int:
    return next(k for k, term in enumerate(program.terms) if term.query.classes > 1)


def _period(program: Program) -> Program:
    wrong = Order(32, 4, 24, 1)
    index = next(k for k, term in enumerate(program.terms) if term.key.count > 1)
    old = program.terms[index].key
    backward = tuple(replace(k, order=wrong) if k.order == old else k for k in program.backward)
    return replace(_term(program, index, key=wrong), backward=backward)


def test_the_program_as_lowered_is_confirmed(program: Program) -> None:
    confirm(emit(program), pattern(EXPRESSION).relation)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_pass_is_seen(program: Program, broken: str) -> None:
    with pytest.raises(Unconfirmed):
        confirm(emit(BREAKS[broken](program)), pattern(EXPRESSION).relation)


def test_another_pattern_is_not_confirmed(program: Program) -> None:
    with pytest.raises(Unconfirmed, match="n': "):
        confirm(emit(program), pattern("local(21) | strided(16) | fixed(32, 4)").relation)


@pytest.mark.parametrize(("old", "new"), [("b", "(b - 1)"), (" + 1\n", " + 0\n")])
def test_a_tampered_text_is_seen(program: Program, old: str, new: str) -> None:
    lines = emit(program).splitlines(keepends=True)
    # A mask, or the end of a range: a strict comparison inside a range's case distinction may change nothing.
    kinds = ("def keep",) if old == "b" else ("def term",)
    places = [
        k for k, line in enumerate(lines) if line.startswith("    return") and old in line and _of(lines, k, kinds)
    ]
    assert places
    for place in places:
        tampered = [*lines[:place], lines[place].replace(old, new, 1), *lines[place + 1 :]]
        with pytest.raises(Unconfirmed):
            confirm("".join(tampered), pattern(EXPRESSION).relation)


def _of(lines: list[str], place: int, kinds: tuple[str, ...]) -> bool:
    """Whether the function that a line belongs to is of these kinds."""
    return next(line for line in reversed(lines[:place]) if line.startswith("def ")).startswith(kinds)
