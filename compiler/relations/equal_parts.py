"""Expressions in which what is equal is one object: whoever remembers parts by their identity looks at each once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .integer import rebuilt


@lru_cache(maxsize=1024)
def sharing(nodes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same expressions and predicates, in which equal parts are one object."""
    made: dict[Any, Any] = {}

    def one(node: Any) -> Any:
        found = rebuilt(node, one)
        return made.setdefault(found, found)

    return tuple(map(one, nodes))
