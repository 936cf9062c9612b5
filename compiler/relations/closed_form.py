"""Closed forms: isl's expression trees as integer expressions.

The nodes are those of ``piecewise`` and ``presburger``; their kinds are read by name: isl stays behind its doors.
"""

from __future__ import annotations

from typing import Any

from .integer import FALSE, TRUE, All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, negated

_ARITHMETIC = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "//",
    "fdiv_q": "//",
    "pdiv_q": "//",
    "pdiv_r": "%",
    "zdiv_r": "%",
    "min": "min",
    "max": "max",
}
_COMPARISONS = {"eq": "==", "le": "<=", "lt": "<", "ge": ">=", "gt": ">"}
_CONJUNCTIONS = ("and_", "and_then")
_DISJUNCTIONS = ("or_", "or_else")
_CHOICES = ("cond", "select")


def expression(node: Any) -> Expr:
    """The value that a node computes; its names are those in the set's text, with the tag of ``quote`` taken off."""
    match node.get_type().name:
        case "int":
            return Const(node.get_val().to_python())
        case "id":
            return Var(node.get_id().get_name().removeprefix("v_"))
    kind = node.get_op_type().name
    operands = [node.get_op_arg(k) for k in range(node.get_op_n_arg())]
    if kind == "minus":
        return Binary("-", Const(0), expression(operands[0]))
    if kind in _CHOICES:
        return Select(predicate(operands[0]), expression(operands[1]), expression(operands[2]))
    result = expression(operands[0])
    for operand in operands[1:]:
        result = Binary(_ARITHMETIC[kind], result, expression(operand))
    return result


def predicate(node: Any) -> Predicate:
    """The condition that a node tests."""
    if node.get_type().name == "int":
        return TRUE if node.get_val().to_python() else FALSE
    kind = node.get_op_type().name
    operands = [node.get_op_arg(k) for k in range(node.get_op_n_arg())]
    if kind in _CONJUNCTIONS:
        parts = (predicate(operand) for operand in operands)
        return All(tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, All) else (part,))))
    if kind in _DISJUNCTIONS:
        parts = (predicate(operand) for operand in operands)
        return AnyOf(tuple(leaf for part in parts for leaf in (part.parts if isinstance(part, AnyOf) else (part,))))
    if kind in _CHOICES:
        test, then, otherwise = (predicate(operand) for operand in operands)
        return AnyOf((All((test, then)), All((negated(test), otherwise))))
    return Compare(_COMPARISONS[kind], expression(operands[0]), expression(operands[1]))
