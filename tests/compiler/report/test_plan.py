"""A program as JSON: readable, and the same text for the same program."""

from __future__ import annotations

import json

import pytest

from patternc.compiler.passes.order import STRAIGHT
from patternc.compiler.passes.program import NATURAL, Kernel, Order, Program, Range, Sweep, Term, Tile
from patternc.compiler.relations.integer import (
    FALSE,
    TRUE,
    All,
    AnyOf,
    Binary,
    Compare,
    Const,
    Expr,
    Predicate,
    Select,
    Var,
)
from patternc.compiler.report.plan import as_json, formula, order_name

N, A = Var("n"), Var("a")


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (Const(-3), "-3"),
        (Binary("-", Binary("*", Const(8), N), Const(1)), "(8 * n) - 1"),
        (Binary("min", Binary("+", A, Const(1)), N), "min(a + 1, n)"),
        (Select(Compare("<", A, N), A, Const(0)), "(a if a < n else 0)"),
        (TRUE, "true"),
        (FALSE, "false"),
        (All((Compare("<", A, N), AnyOf((Compare("==", A, N), TRUE)))), "a < n and (a == n or true)"),
    ],
)
def test_formula(node: Expr | Predicate, text: str) -> None:
    assert formula(node) == text


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (NATURAL, "natural"),
        (Order(128, 1, 0, 128), "residue mod 128"),
        (Order(128, 8, 120, 1), "packed 120..127 of 128"),
        (Order(128, 1, 5, 1), "packed 5 of 128"),
    ],
)
def test_order_name(order: Order, name: str) -> None:
    assert order_name(order) == name


def test_program() -> None:
    term = Term("local(4)", 3, NATURAL, NATURAL, STRAIGHT)
    kernel = Kernel(NATURAL, (Sweep(0, (Range(Const(0), Binary("+", Var("I"), Const(1)), True),)),))
    program = Program("p", True, Tile(64, 32), (term,), (kernel,), (kernel,))
    plan = json.loads(as_json(program))
    assert plan["tile"] == {"query": 64, "key": 32}
    assert plan["forward"][0]["sweeps"][0]["ranges"] == [{"lo": "0", "hi": "I + 1", "masked": True, "of": "tiles"}]
    assert as_json(program) == as_json(program)
