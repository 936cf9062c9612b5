"""Expressions in which what is equal is one object: whoever remembers parts by their identity looks at each once."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, rebuilt


@lru_cache(maxsize=1024)
def sharing(nodes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same expressions and predicates, in which equal parts are one object."""
    made: dict[Hashable, Any] = {}

    def one(node: Any) -> Any:
        found = rebuilt(node, one)
        return made.setdefault(_told_apart(found), found)

    return tuple(map(one, nodes))


def _told_apart(node: Expr | Predicate) -> Hashable:
    """What a node is, where equal parts are one object already: to compare them deeply would be to look at each at all
    levels above it."""
    match node:
        case Binary(operator, left, right) | Compare(operator, left, right):
            return type(node), operator, id(left), id(right)
        case Select(condition, then, otherwise):
            return Select, id(condition), id(then), id(otherwise)
        case All(parts) | AnyOf(parts):
            return (type(node), *map(id, parts))
        case Const() | Var():
            return node
