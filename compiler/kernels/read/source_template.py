"""Matching of Python statements against templates, on syntax trees.

A template is Python text in which a name that starts with ``HOLE_`` stands for any expression; all else must be as
written. Comments, spacing and parentheses play no part.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from itertools import repeat
from typing import TypeAlias

Holes: TypeAlias = dict[str, ast.expr]

_HOLE = "HOLE_"

_WITHOUT_EFFECT = ("ctx", "kind", "type_comment", "type_ignores")
_FIELDS = {
    kind: tuple(name for name in kind._fields if name not in _WITHOUT_EFFECT)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""What of a node is compared. Whether it is loaded or stored is said by its place; comments on types and the prefix of
a text have no effect. Positions are no fields, and an absent optional field is None on both sides."""


@lru_cache(maxsize=512)
def template(text: str) -> tuple[ast.stmt, ...]:
    """The statements of a template."""
    return tuple(ast.parse(text).body)


def match_statements(pattern: tuple[ast.stmt, ...], statements: list[ast.stmt]) -> Holes | None:
    """What the holes stand for, or None where the statements differ. A hole that occurs twice must agree."""
    holes: Holes = {}
    return holes if _same(list(pattern), statements, holes) else None


def same_arguments(one: ast.FunctionDef, two: ast.FunctionDef) -> bool:
    """Whether two functions take the same arguments, annotations and defaults included."""
    return _same(one.args, two.args, {})


def dotted(node: ast.expr) -> str:
    """``tl.where`` for the expression of that name; nothing for one that is no name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=home), attr=name):
            return f"{home}.{name}"
        case _:
            return ""


def _same(pattern: object, found: object, holes: Holes) -> bool:
    kind = type(pattern)
    if kind is ast.Name:
        assert isinstance(pattern, ast.Name)
        if pattern.id.startswith(_HOLE):
            if not isinstance(found, ast.expr):
                return False
            earlier = holes.setdefault(pattern.id.removeprefix(_HOLE), found)
            return earlier is found or ast.dump(earlier) == ast.dump(found)
        return isinstance(found, ast.Name) and pattern.id == found.id
    if kind is not type(found):
        return False
    if isinstance(pattern, ast.AST):
        fields = _FIELDS[type(pattern)]
        return all(_same(getattr(pattern, name, None), getattr(found, name, None), holes) for name in fields)
    if isinstance(pattern, list):
        assert isinstance(found, list)
        return len(pattern) == len(found) and all(map(_same, pattern, found, repeat(holes)))
    return pattern == found
