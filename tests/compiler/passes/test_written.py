"""Programs as text: read back as they were, and nothing else is read."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patternc.compiler.passes import written
from patternc.compiler.passes.order import STRAIGHT, Turn
from patternc.compiler.passes.program import NATURAL, Fan, Kernel, Order, Program, Range, Sweep, Term, Tile
from patternc.compiler.relations.integer import FALSE, TRUE, All, AnyOf, Binary, Compare, Const, Select, Var

PROGRAMS = Path(__file__).parents[2] / "runtime" / "engines" / "interpreter" / "programs.py"
CASES: dict[str, Any] = runpy.run_path(str(PROGRAMS))["CASES"]

NEAR = Compare("<=", Binary("-", Var("a"), Var("b")), Const(-7))
CHOICE = Select(AnyOf((NEAR, FALSE)), Binary("%", Var("I"), Const(3)), Binary("min", Var("T"), Const(9)))
FAN = Fan(Const(0), Binary("//", Var("c"), Const(2)), 64)
BOXES = Order(512, 512, 0, 1, ((16, 1), (8, 64), (4, 16)))
WHOLE = Program(
    'a "name",\nof two lines',
    causal=False,
    tile=Tile(64, 32),
    terms=(
        Term("local(w)", 3, BOXES, NATURAL, Turn(1, 3), All((NEAR, TRUE)), Tile(64, 16)),
        Term("`ü`", 0, NATURAL, NATURAL, STRAIGHT),
    ),
    forward=(
        Kernel(BOXES, (Sweep(0, (Range(Var("d"), CHOICE, True, FAN), Range(Const(0), Var("T"), False))),)),
        Kernel(NATURAL, (Sweep(1, (Range(Const(-4), Var("nk"), True, diagonal=True),)),)),
    ),
    backward=(),
    cross=True,
    table=16,
)


@pytest.mark.parametrize("name", CASES)
def test_reading_undoes_writing(name: str) -> None:
    program = CASES[name]().program
    assert written.read(written.write(program)) == program


def test_every_part_of_a_program_is_written() -> None:
    assert written.read(written.write(WHOLE)) == WHOLE


def others(node: Any) -> Iterator[Any]:
    """The JSON with one part left out, or one leaf of another kind or of a kind that no program has."""
    if isinstance(node, list):
        for at, part in enumerate(node):
            yield from ([*node[:at], other, *node[at + 1 :]] for other in others(part))
        return
    yield from (1.5, {"a": 1}, ["system", 1, 1], [[]])
    if not isinstance(node, str):
        yield "os"


def test_nothing_else_is_read() -> None:
    refused = list(others(json.loads(written.write(WHOLE))))
    assert len(refused) > 300
    for other in refused:
        with pytest.raises(ValueError, match=r"is no |is not of the type|unpack"):
            written.read(json.dumps(other))


@pytest.mark.parametrize("text", ["", "1", "null", "{}", "[" * 100_000, "[]", '["%", "I", 0]'])
def test_what_is_no_program(text: str) -> None:
    with pytest.raises(ValueError, match=r"no program|unpack|Expecting"):
        written.read(text)


@pytest.mark.parametrize(
    "bound", ['"exit()"', '["//","I",0]', '["//","I","T"]', '["**","I",2]', "true", '["%","I",true]']
)
def test_bounds_are_of_names_and_operators_that_programs_have(bound: str) -> None:
    text = written.write(WHOLE)
    assert text.count('["%","I",3]') == 1
    with pytest.raises(ValueError, match="is no integer expression"):
        written.read(text.replace('["%","I",3]', bound))
