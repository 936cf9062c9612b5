"""The text of generated kernels."""

from __future__ import annotations

import ast
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import patternc as pc
from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.emit.spell import spell, spell_predicate
from patternc.compiler.kernels.launch import ROLES
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Kernel, Order, Range, Sweep, Tile
from patternc.compiler.relations.integer import Binary, Compare, Const, Expr, Select, Var, evaluate

PROGRAMS = Path(__file__).parents[2] / "runtime" / "engines" / "interpreter" / "programs.py"
CASES: dict[str, Any] = runpy.run_path(str(PROGRAMS))["CASES"]
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["diagonals", "fixed", "strided"])
def test_golden(name: str, update_golden: bool) -> None:
    """--update-golden writes the files anew; read the difference before it is committed."""
    _compare(f"{name}_kernels.py", emit(CASES[name]().program), update_golden)


def test_golden_of_boxes(update_golden: bool) -> None:
    """As above, of a window on a grid, which runs box by box."""
    window = "{ (i, j) : -2 <= i.x - j.x <= 2 and -2 <= i.y - j.y <= 2 }"
    bound = pc.loads(f"pattern boxes causal grid(y, x = 64) {{ step {window} }}")["boxes"].bind().bound
    _compare("boxes_kernels.py", lower(bound.union, bound.direction, bound.name, Tile(32, 32)).source, update_golden)


def _compare(name: str, text: str, update_golden: bool) -> None:
    if update_golden:
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_text_is_python_and_says_what_it_is(name: str) -> None:
    program = CASES[name]().program
    text = emit(program)
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert program.name in docstring
    for term in program.terms:
        assert f"line {term.line}: {term.label}" in docstring
    assert emit(program) == text


def test_labels_cannot_break_out_of_their_comment() -> None:
    program = CASES["dense_causal"]().program
    term = replace(program.terms[0], label='x"""\nimport os\\\n')
    text = emit(replace(program, name='"""\nimport os', terms=(term,)))
    assert [type(node) for node in ast.parse(text).body[:3]] == [ast.Expr, ast.Import, ast.Import]
    assert "import os" not in {ast.unparse(node) for node in ast.parse(text).body}


def test_a_program_that_breaks_its_contract_is_refused() -> None:
    program = CASES["fixed"]().program
    other = Kernel(Order(2, 1, 0, 2), program.forward[0].sweeps)
    with pytest.raises(ValueError, match="another query order"):
        emit(replace(program, forward=(other,)))
    with pytest.raises(ValueError, match="no ranges"):
        emit(replace(program, forward=(Kernel(program.forward[0].order, (Sweep(0, ()),)),)))
    natural, packed = program.forward[0].sweeps
    mixed = (*natural.ranges, Range(Const(0), Const(1), False, diagonal=True))
    with pytest.raises(ValueError, match="not all diagonals"):
        emit(replace(program, forward=(Kernel(program.forward[0].order, (Sweep(0, mixed), packed)),)))
    with pytest.raises(ValueError, match="not in every sweep"):
        emit(replace(program, forward=(Kernel(program.forward[0].order, (natural, Sweep(1, mixed[-1:]))),)))
    own, summaries = program.terms
    wide = replace(program, tile=Tile(32, 16), terms=(own, replace(summaries, tile=Tile(16, 16))))
    with pytest.raises(ValueError, match="unequally many query ranks"):
        emit(wide)
    for tile, complaint in (
        (Tile(16, 1), "not in every sweep"),
        (Tile(32, 1), "narrower on one side"),
        (Tile(1, 1), "narrower on one side"),
        (Tile(16, 16), "narrower on one side"),
    ):
        with pytest.raises(ValueError, match=complaint):
            emit(replace(program, terms=(own, replace(summaries, tile=tile))))
    with pytest.raises(ValueError, match="powers of two"):
        emit(replace(program, tile=Tile(8, 16)))


# Spelling ---------------------------------------------------------------------------------------------------------

I, N = Var("I"), Var("n")  # noqa: E741


@pytest.mark.parametrize(
    "expr, text",
    [
        (Binary("//", I, Const(4)), "(I // 4)"),
        (Binary("//", Binary("-", I, Const(1)), Const(4)), "floordiv(I - 1, 4)"),
        (Binary("%", Binary("-", Const(7), Binary("%", I, Const(8))), Const(4)), "((7 - (I % 8)) % 4)"),
        (Binary("//", Binary("max", Binary("-", I, Const(1)), Const(0)), Const(4)), "(tl.maximum(I - 1, 0) // 4)"),
        (Binary("%", Binary("*", Const(-1), I), Const(3)), "floormod(-1 * I, 3)"),
        (Select(Compare("<", I, N), I, Const(0)), "tl.where((I < n), I, 0)"),
    ],
)
def test_division_rounds_down(expr: Expr, text: str) -> None:
    assert spell(expr) == text


@pytest.mark.parametrize("value", [-9, -8, -1, 0, 3, 8])
def test_spelled_values_are_the_values(value: int) -> None:
    expr = Binary("+", Binary("%", Binary("-", I, Const(9)), Const(4)), Binary("//", Binary("-", I, N), Const(3)))
    names = {"I": value + 9, "n": 5, "floordiv": lambda x, d: x // d, "floormod": lambda x, d: x % d}
    assert eval(spell(expr), names) == evaluate(expr, {"I": value + 9, "n": 5})


def test_a_divisor_must_be_a_positive_constant() -> None:
    with pytest.raises(ValueError, match="positive constant"):
        spell(Binary("//", I, N))
    assert spell_predicate(Compare("<", I, Const(-2))) == "(I < -2)"


@pytest.mark.parametrize("name", CASES)
def test_one_kernel_is_written_as_in_the_whole(name: str) -> None:
    program = CASES[name]().program
    whole = emit(program).rstrip("\n").split("\n\n\n")
    found: set[str] = set()
    for role in ROLES:
        for index in range(len(program.backward if role == "backward_key" else program.forward)):
            head, *parts = emit(program, (role, index)).rstrip("\n").split("\n\n\n")
            assert set(parts) <= set(whole)
            assert set(head.splitlines()) <= set(whole[0].splitlines())
            kernels = re.findall(rf"^def ((?:{'|'.join(ROLES)})_\d+)\(", "\n".join(parts), re.MULTILINE)
            assert kernels == [f"{role}_{index}"]
            found |= set(parts)
    assert found == set(whole[1:])
