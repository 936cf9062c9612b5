"""The pieces of declarations, one statement a line."""

from __future__ import annotations

from collections.abc import Iterable

from .. import syntax
from .documentation import quoted
from .pieces import Pieces, Place, Unspellable, listed
from .wrap import INDENT

Declaration = syntax.Import | syntax.Rule | syntax.Pattern | syntax.Plan


def module(node: syntax.Module) -> Pieces:
    """Imports, rules, patterns, plans: the tree does not say which came first in the text."""
    groups: list[tuple[Declaration, ...]] = [node.imports, node.rules, node.patterns, node.plans]
    groups = [group for group in groups if group]
    inside = False
    if node.documentation is None and groups:
        # A text at the top would document the file: what is first has none, or has it in its body.
        plain = [group for group in groups if _documentation(group[0]) is None]
        bodies = [group for group in groups if isinstance(group[0], syntax.Pattern | syntax.Plan)]
        if not plain and not bodies:
            raise Unspellable("the text before the first rule documents the file, and the file has no documentation")
        inside = not plain
        first = (plain or bodies)[0]
        groups.sort(key=lambda group: group is not first)
    declarations = [each for group in groups for each in group]
    pieces: Pieces = () if node.documentation is None else (quoted(node.documentation, 0), "\n\n" if groups else "\n")
    for place, each in enumerate(declarations):
        space = "\n" if place + 1 == len(declarations) or _may_touch(each, declarations[place + 1]) else "\n\n"
        pieces += (*declaration(each, inside=inside and place == 0), space)
    return pieces


def _documentation(node: Declaration) -> str | None:
    return None if isinstance(node, syntax.Import) else node.documentation


def _may_touch(first: Declaration, second: Declaration) -> bool:
    return type(first) is type(second) and isinstance(first, syntax.Import | syntax.Rule) and not _documentation(second)


def declaration(node: Declaration, *, inside: bool = False) -> Pieces:
    """``inside``: the documentation stands in the body."""
    documentation = _documentation(node)
    before = () if documentation is None or inside else (quoted(documentation, 0), "\n")
    match node:
        case syntax.Import(path, names):
            return (f'from "{path}" import ', *listed((_imported(name),) for name in names))
        case syntax.Rule(name, parameters, body):
            return *before, f"rule {name}", *_parameters(parameters), " = ", Place(body)
        case syntax.Pattern():
            head = (f"pattern {node.name}", *_parameters(node.parameters), f" {node.direction}", *_grid(node.grid))
            required = (("require ", Place(formula)) for formula in node.requirements)
            statements = ((Place(each),) for each in (*node.learned, *node.steps, *node.claims))
            return *before, *head, *_body(documentation if inside else None, [*required, *statements])
        case syntax.Plan(name, assignments, _, claims):
            statements = ((Place(each),) for each in (*assignments, *claims))
            return *before, f"plan {name}", *_body(documentation if inside else None, statements)


def bound_pattern(node: syntax.BoundPattern) -> Pieces:
    """A pattern in core form: its parameters have become numbers. Its documentation stands in the body, where it would
    not document a file that holds the pattern alone."""
    statements = ((Place(each),) for each in (*node.selectors, *node.steps, *node.claims))
    return f"pattern {node.name} {node.direction}", *_body(node.documentation, statements)


def _body(documentation: str | None, statements: Iterable[Pieces]) -> Pieces:
    documented = [] if documentation is None else [(quoted(documentation, INDENT),)]
    indented = ((" " * INDENT, *statement, "\n") for statement in (*documented, *statements))
    return " {\n", *listed(indented, ""), "}"


def _imported(node: syntax.Imported) -> str:
    return node.name if node.name == node.original else f"{node.original} as {node.name}"


def _parameters(parameters: tuple[syntax.Parameter, ...]) -> Pieces:
    return ("(", *listed((Place(each),) for each in parameters), ")") if parameters else ()


def _grid(grid: syntax.Grid | None) -> Pieces:
    return () if grid is None else (" grid(", *listed((Place(each),) for each in grid.axes), ")")
