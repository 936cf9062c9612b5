"""read: integer expressions, back from the Triton text of a bound or a mask."""

from __future__ import annotations

import ast

from ...relations.integer import FALSE, TRUE, All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var
from .source_template import dotted


class ReadError(ValueError):
    """Generated source is not what the compiler writes; the message says where and what."""


_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_CALLS = {"tl.minimum": "min", "tl.maximum": "max", "floordiv": "//", "floormod": "%"}
# What a sign analysis takes for "no bound".
_INFINITY = float("inf")


def refuse(node: ast.AST, reason: str) -> ReadError:
    """The error for a piece of source."""
    text = ast.unparse(node).splitlines() or [""]
    return ReadError(f"generated source, line {getattr(node, 'lineno', '?')}: {reason}: {text[0].strip()!r}")


def read_expr(node: ast.expr, names: frozenset[str]) -> Expr:
    """An integer expression over ``names``. Raises ReadError, also where Triton's // or % would not round down."""
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return Const(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))) if not isinstance(value, bool):
            return Const(-value)
        case ast.Name(id=name) if name in names:
            return Var(name)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _ARITHMETIC:
            expr = Binary(_ARITHMETIC[type(op)], read_expr(left, names), read_expr(right, names))
            if expr.operator in ("//", "%"):
                _check_divisor(expr, node)
                if _range(expr.left)[0] < 0:
                    raise refuse(node, f"Triton's {expr.operator} rounds towards zero; the left side may be negative")
            return expr
        case ast.Call(func=func, args=[left, right], keywords=[]) if dotted(func) in _CALLS:
            expr = Binary(_CALLS[dotted(func)], read_expr(left, names), read_expr(right, names))
            if expr.operator in ("//", "%"):
                _check_divisor(expr, node)
            return expr
        case ast.Call(func=func, args=[test, then, otherwise], keywords=[]) if dotted(func) == "tl.where":
            return Select(read_predicate(test, names), read_expr(then, names), read_expr(otherwise, names))
        case _:
            raise refuse(node, "not an integer expression of a program")


def read_predicate(node: ast.expr, names: frozenset[str]) -> Predicate:
    """A truth value over ``names``."""
    match node:
        case ast.Compare(left=ast.Name(id="c"), ops=[ast.Eq()], comparators=[ast.Name(id="c")]):
            return TRUE
        case ast.Compare(left=ast.Name(id="c"), ops=[ast.NotEq()], comparators=[ast.Name(id="c")]):
            return FALSE
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            return Compare(_COMPARISONS[type(op)], read_expr(left, names), read_expr(right, names))
        case ast.BinOp(op=ast.BitAnd()):
            return All(tuple(read_predicate(part, names) for part in _flat(node, ast.BitAnd)))
        case ast.BinOp(op=ast.BitOr()):
            return AnyOf(tuple(read_predicate(part, names) for part in _flat(node, ast.BitOr)))
        case _:
            raise refuse(node, "not a condition of a program")


def read_mask(node: ast.expr, names: frozenset[str]) -> Predicate:
    """The truth value of a mask over ``names``: a band, or integers that are joined by their signs."""
    match node:
        case ast.Call(func=func, args=[value, ast.Constant(value=int(last))], keywords=[]) if dotted(func) == "within":
            inside = read_expr(value, names)
            return All((Compare(">=", inside, Const(0)), Compare("<=", inside, Const(last))))
        case ast.Compare(left=ast.BinOp(op=ast.BitOr() | ast.BitAnd()) as joined, ops=[ast.GtE()], comparators=[zero]):
            if not isinstance(zero, ast.Constant) or zero.value != 0:
                raise refuse(node, "signs are told from a comparison with 0")
            return _read_slack(joined, names)
        case _:
            return read_predicate(node, names)


def _read_slack(node: ast.expr, names: frozenset[str]) -> Predicate:
    """What holds where an integer is at least 0."""
    match node:
        case ast.BinOp(op=ast.BitOr()):
            return All(tuple(_read_slack(part, names) for part in _flat(node, ast.BitOr)))
        case ast.BinOp(op=ast.BitAnd()):
            return AnyOf(tuple(_read_slack(part, names) for part in _flat(node, ast.BitAnd)))
        case _:
            return Compare(">=", read_expr(node, names), Const(0))


def _flat(node: ast.expr, operator: type[ast.operator]) -> list[ast.expr]:
    """The parts of ``x & y & z``, which parses as ``(x & y) & z``; a right operand keeps its own nesting."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, operator):
        return [*_flat(node.left, operator), node.right]
    return [node]


def _check_divisor(expr: Binary, node: ast.expr) -> None:
    if not isinstance(expr.right, Const) or expr.right.value <= 0:
        raise refuse(node, "the divisor is not a positive constant")


def _range(expr: Expr) -> tuple[float, float]:
    """Bounds of a value when every variable but d is >= 0; ``//`` and ``%`` inside were accepted already."""
    match expr:
        case Const(value):
            return value, value
        case Var(name):
            return (-_INFINITY if name == "d" else 0), _INFINITY
        case Select(_, then, otherwise):
            (a, b), (c, d) = _range(then), _range(otherwise)
            return min(a, c), max(b, d)
        case Binary(operator, left, right):
            (a, b), (c, d) = _range(left), _range(right)
            match operator:
                case "+":
                    return a + c, b + d
                case "-":
                    return a - d, b - c
                case "min":
                    return min(a, c), min(b, d)
                case "max":
                    return max(a, c), max(b, d)
                case "%":
                    return 0, c - 1
                case "//":
                    # An infinite value stays infinite; `inf // c` is NaN in Python.
                    return (a if abs(a) == _INFINITY else a // c), (b if abs(b) == _INFINITY else b // c)
                case _:
                    # 0 * inf counts as 0: a factor that is 0 makes the product 0 whatever the other is.
                    corners = [0 if 0 in (x, y) else x * y for x in (a, b) for y in (c, d)]
                    return min(corners), max(corners)
