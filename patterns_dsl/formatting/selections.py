"""The pieces of pairs that a selection or documents decide, in a bound pattern: by themselves they do not say which."""

from __future__ import annotations

from collections.abc import Mapping

from .. import syntax
from ..builtin.selectors import KINDS, Role
from .pieces import Pieces, Place

_VERBS = {Role.RELATION: "select", Role.LEVELS: "refine"}


def decided_by(pattern: syntax.BoundPattern) -> dict[str, str]:
    """The relation of each selection of pairs. What else decides pairs are documents."""
    roles = {selector.name: KINDS[selector.kind].role for selector in pattern.selectors}
    return {name: f"{_VERBS[role]}({name})" for name, role in roles.items() if role in _VERBS}


def selection(node: syntax.Node, selections: Mapping[str, str]) -> Pieces | None:
    """None for a node that the text decides."""
    match node:
        case syntax.Pairs(query, key, syntax.Chosen(source, (syntax.Name(i), syntax.Name(j)))) if (i, j) == (
            query,
            key,
        ):
            return (selections.get(source, f"document({source})"),)
        case syntax.Chosen(source, (query, key)):
            return "(", Place(query), ", ", Place(key), ") in ", selections.get(source, f"document({source})")
        case _:
            return None
