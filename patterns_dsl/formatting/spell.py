"""spell: from a tree to a text whose tree it is, with no parentheses but those that it takes."""

from __future__ import annotations

from .. import syntax
from .claims import claim
from .declarations import Declaration, bound_pattern, declaration, module
from .expressions import expression
from .formulas import formula
from .pieces import Piece, Pieces, Place
from .selections import decided_by, selection
from .statements import statement


def spell(node: syntax.Node, *, argument: bool = False) -> str:
    """The text of a module, a declaration, a statement, a claim, a relation, a set, a term or a formula.

    ``argument``: as the text of an argument is read, where a lone name is a number: see ``parse_value``. Nodes in core
    form have a text too; what documents or selections decide has one within its bound pattern, which knows them. A
    gate gets its name anew when the text is bound.
    The text is not laid out: ``formatted`` breaks long lines. Raises Unspellable for what is the tree of no text.
    """
    words = list[str]()
    selections = decided_by(node) if isinstance(node, syntax.BoundPattern) else None
    todo: list[Piece] = [Place(node, argument=argument)]  # a stack of our own: trees are deeper than Python's
    while todo:
        match todo.pop():
            case str() as word:
                words.append(word)
            case place:
                pieces = None if selections is None else selection(place.node, selections)
                todo += reversed(pieces or _pieces(place))
    return "".join(words)


def _pieces(place: Place) -> Pieces:
    node = place.node
    if isinstance(node, syntax.Value):
        return expression(node, place)
    if isinstance(node, syntax.Formula):
        return formula(node, place)
    if isinstance(node, syntax.Claim | syntax.PlanClaim):
        return claim(node)
    if isinstance(node, syntax.Module):
        return module(node)
    if isinstance(node, Declaration):
        return declaration(node)
    if isinstance(node, syntax.BoundPattern):
        return bound_pattern(node)
    pieces = statement(node)
    if pieces is None:
        raise TypeError(f"{type(node).__name__} is no node of a text by itself")
    return pieces
