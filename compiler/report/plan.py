"""A program as JSON, for reading and for comparing: ranges and masks as text, orders by name."""

from __future__ import annotations

import json
from typing import Any, assert_never

from ...patterns_dsl.syntax import Drawn
from ..lowering.learned import LearnedProgram
from ..passes.order import ALONE
from ..passes.program import NATURAL, Kernel, Order, Program
from ..relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var


def as_json(program: Program | LearnedProgram) -> str:
    """Deterministic: the same program gives the same text. With seeded tables: the plan of what is positional, and of
    each table what it draws and where that holds."""
    found = _plan(program) if isinstance(program, Program) else _tables(program)
    return json.dumps(found, indent=2) + "\n"


def _tables(program: LearnedProgram) -> dict[str, Any]:
    tables = []
    for each in program.parts.selected:
        assert isinstance(each.source, Drawn)  # what is learned has no plan
        draws = {"count": each.source.count, "block": each.source.block, "seed": each.source.seed}
        label = " ".join(each.term.span.text.split())
        tables.append({"label": label, "line": each.term.span.line, **draws, "where": formula(each.within)})
    positional = None if program.positional is None else _plan(program.positional)
    return {"name": program.name, "positional": positional, "tables": tables}


def _plan(program: Program) -> dict[str, Any]:
    return {
        "name": program.name,
        "causal": program.causal,
        "cross": program.cross,
        "tile": {"query": program.tile.query, "key": program.tile.key},
        "terms": [
            {
                "label": term.label,
                "line": term.line,
                "query": order_name(term.query),
                "key": order_name(term.key),
                "turn": {"factor": term.turn.factor, "shift": term.turn.shift},
                "keep": formula(term.keep),
                **({} if term.tile is None else {"tile": {"query": term.tile.query, "key": term.tile.key}}),
            }
            for term in program.terms
        ],
        "forward": [_kernel(kernel) for kernel in program.forward],
        "backward": [_kernel(kernel) for kernel in program.backward],
    }


def _kernel(kernel: Kernel) -> dict[str, Any]:
    return {
        "order": order_name(kernel.order),
        "sweeps": [
            {
                "term": sweep.term,
                "ranges": [
                    {
                        "lo": formula(span.lo),
                        "hi": formula(span.hi),
                        "masked": span.masked,
                        "of": "diagonals" if span.diagonal else "tiles",
                    }
                    for span in sweep.ranges
                ],
            }
            for sweep in kernel.sweeps
        ],
    }


def order_name(order: Order) -> str:
    """``natural``, ``residue mod 128``, ``packed 120..127 of 128``; what has no name is spelled out."""
    if order == NATURAL:
        return "natural"
    if order == Order(order.classes, 1, 0, order.classes):
        return f"residue mod {order.period}"
    if order.tiled:
        digits = " x ".join(f"{extent} by {stride}" for extent, stride in order.digits)
        return f"boxes {digits}, period {order.period}"
    if order.period == ALONE:
        return f"{order.start}..{order.start + order.count - 1} alone"
    if order.classes == 1:
        last = order.start + order.count - 1
        return f"packed {order.start}{f'..{last}' if last > order.start else ''} of {order.period}"
    return f"{order.classes} classes of {order.count} from {order.start}, period {order.period}"


def formula(node: Expr | Predicate) -> str:
    """An expression as Python would write it, fully parenthesised inside."""
    text = _formula(node)
    return text[1:-1] if isinstance(node, Binary) and text.startswith("(") else text


def _formula(node: Expr | Predicate) -> str:
    match node:
        case Const(value):
            return str(value)
        case Var(name):
            return name
        case Binary("min" | "max" as operator, left, right):
            return f"{operator}({formula(left)}, {formula(right)})"
        case Binary(operator, left, right):
            return f"({_formula(left)} {operator} {_formula(right)})"
        case Select(condition, then, otherwise):
            return f"({_formula(then)} if {_formula(condition)} else {_formula(otherwise)})"
        case Compare(operator, left, right):
            return f"{formula(left)} {operator} {formula(right)}"
        case All(()):
            return "true"
        case AnyOf(()):
            return "false"
        case All(parts):
            return " and ".join(_operand(part, AnyOf) for part in parts)
        case AnyOf(parts):
            return " or ".join(_operand(part, All) for part in parts)
        case _:
            assert_never(node)


def _operand(part: Predicate, other: type[All] | type[AnyOf]) -> str:
    return f"({_formula(part)})" if isinstance(part, other) and len(part.parts) > 1 else _formula(part)
