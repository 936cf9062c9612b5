"""Expressions in which what is equal is one object: whoever remembers parts by their identity looks at each once."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from .integer import All, AnyOf, Binary, Compare, Select, rebuilt


@lru_cache(maxsize=1024)
def sharing(nodes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same expressions and predicates, in which equal parts are one object."""
    made: dict[Hashable, Any] = {}

    def one(node: Any) -> Any:
        found = rebuilt(node, one)
        return made.setdefault(_told_apart(found), found)

    return tuple(map(one, nodes))


def _told_apart(node: Any) -> Hashable:
    """What a node is, of parts of which equal ones are one object: to compare these deeply would be to look at them
    again at each level."""
    match node:
        case Binary(operator, left, right) | Compare(operator, left, right):
            return type(node), operator, id(left), id(right)
        case Select(condition, then, otherwise):
            return Select, id(condition), id(then), id(otherwise)
        case All(parts) | AnyOf(parts):
            return (type(node), *map(id, parts))
        case _:
            return node
