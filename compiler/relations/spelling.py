"""Closed forms in the words of the language: ``min(n, 1028)``, ``n div 16 + 120``."""

from __future__ import annotations

from .integer import Binary, Const, Expr, Select, Var

LONGEST = 60
"""Characters of a formula that still helps a reader."""

_BINDING = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}
_WORDS = {"//": "div", "%": "mod"}


def spell(expr: Expr) -> str | None:
    """The formula as a bound could be written; None where it needs cases or is too long to read."""
    text = _spell(expr)
    return text if text is not None and len(text) <= LONGEST else None


def _spell(expr: Expr, outer: int = 0, right: bool = False) -> str | None:
    match expr:
        case Const(value):
            return str(value) if value >= 0 else f"({value})"
        case Var(name):
            return name
        case Binary("min" | "max" as name, left, other):
            parts = [_spell(part) for part in (*_flat(name, left), *_flat(name, other))]
            known = [part for part in parts if part is not None]
            return f"{name}({', '.join(known)})" if len(known) == len(parts) else None
        case Binary(operator, left, other):
            own = _BINDING[operator]
            one, two = _spell(left, own), _spell(other, own, right=True)
            if one is None or two is None:
                return None
            text = f"{one} {_WORDS.get(operator, operator)} {two}"
            return f"({text})" if own < outer or (own == outer and right) else text
        case Select():
            return None


def _flat(name: str, expr: Expr) -> tuple[Expr, ...]:
    """min(min(a, b), c) -> a, b, c."""
    if isinstance(expr, Binary) and expr.operator == name:
        return (*_flat(name, expr.left), *_flat(name, expr.right))
    return (expr,)
