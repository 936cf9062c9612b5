"""What every node of the tree has."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ..diagnostics.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(compare=False, repr=False)


def levels(tree: Node) -> int:
    """How deep a tree is; a loop, since it may be deeper than what recursion can follow."""
    count, level = 0, [tree]
    while level:
        inside = (getattr(node, name) for node in level for name in _parts(node))
        level = [part for value in inside for part in _nodes(value)]
        count += 1
    return count


_PARTS: dict[type[Node], tuple[str, ...]] = {}
"""The fields of a kind of node, which are asked of many: but for its span."""


def _parts(node: Node) -> tuple[str, ...]:
    if (known := _PARTS.get(type(node))) is None:
        known = _PARTS[type(node)] = tuple(each.name for each in fields(node) if each.name != "span")
    return known


def _nodes(value: object) -> list[Node]:
    """The nodes that a field holds: itself, or in a tuple, or in a tuple of tuples."""
    if isinstance(value, tuple):
        return [node for part in value for node in _nodes(part)]
    return [value] if isinstance(value, Node) else []
