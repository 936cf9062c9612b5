"""The pieces of terms, relations and sets, with parentheses where they are needed and nowhere else."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from .. import syntax
from ..parsing.kinds import FUNCTIONS
from .pieces import Pieces, Place, Unspellable, listed

# How tightly the operators bind, the loosest first: from `expression` to `atom` in the grammar, and from `term` to
# `primary`.
_UNION, _MEET, _SUM, _CHAIN, _UNARY, _POWER, _ATOM = range(1, 8)
_ARITHMETIC = {"+": _SUM, "-": _SUM, "*": _CHAIN, "div": _CHAIN, "mod": _CHAIN, "^": _POWER}


def expression(node: syntax.Value, place: Place) -> Pieces:
    """A value: a term, a ratio, a relation or a set."""
    if binding(node) < place.floor:
        place = Place(node, argument=place.argument)
        return "(", *expression(node, place), ")"
    if isinstance(node, syntax.Ratio):
        return (f"{Decimal(repr(node.percent)).normalize():f}%",)
    return _term(node) if isinstance(node, syntax.Term) else _relation(node, place.argument)


def opening(node: syntax.Value) -> str:
    """The first word of its text, with the parenthesis of a call."""
    place = Place(node)
    while True:
        first, *_ = expression(node, place)
        if isinstance(first, str):
            return first
        assert isinstance(first.node, syntax.Value)
        node, place = first.node, first


def binding(node: syntax.Value) -> int:
    match node:
        case syntax.Union():
            return _UNION
        case syntax.Intersection():
            return _MEET
        case syntax.Difference():
            return _SUM
        case syntax.Composition():
            return _CHAIN
        case syntax.Complement() | syntax.Gated() | syntax.Negative():
            return _UNARY
        case syntax.Arithmetic(operator):
            return _ARITHMETIC[operator]
        case syntax.Integer(value):
            return _UNARY if value < 0 else _ATOM
        case _:
            return _ATOM


def _infix(operator: str, left: syntax.Node, right: syntax.Node, floor: int, argument: bool = False) -> Pieces:
    """An operator whose chains lean to the left. ``argument`` is that of the left."""
    return Place(left, floor, argument), f" {operator} ", Place(right, floor + 1)


def _term(term: syntax.Term) -> Pieces:
    match term:
        case syntax.Integer(value):
            return (str(value),)
        case syntax.Name(name):
            return (name,)
        case syntax.Arithmetic("^", left, right):
            return Place(left, _ATOM), "^", Place(right, _UNARY)
        case syntax.Arithmetic(operator, left, right):
            return _infix(operator, left, right, _ARITHMETIC[operator])
        case syntax.Negative(operand):
            return "-", Place(operand, _UNARY)
        case syntax.Coordinate(position, axis):
            return Place(position, _ATOM), f".{axis}"
        case syntax.Function(name, arguments):
            return f"{name}(", *listed((Place(each),) for each in arguments), ")"
        case _:
            assert_never(term)


def _interval(low: syntax.Term, high: syntax.Term) -> Pieces:
    return (Place(low, _SUM),) if low == high else (Place(low, _SUM), "..", Place(high, _SUM))


def _relation(relation: syntax.Expression, argument: bool) -> Pieces:
    match relation:
        case syntax.Pairs(query, key, syntax.Drawn(syntax.Name(i), syntax.Name(j)) as table) if (i, j) == (query, key):
            return (random(table),)
        case syntax.Pairs(query, key, formula):
            return f"{{ ({query}, {key}) : ", Place(formula), " }"
        case syntax.Positions(variable, formula):
            return f"{{ {variable} : ", Place(formula), " }"
        case syntax.Elements(intervals):
            return "{", *listed(_interval(*ends) for ends in intervals), "}"
        case syntax.Call(name, arguments):
            # As an argument `f` is a number, and `f()` the relation. Elsewhere there are no numbers.
            listing = listed((Place(each),) for each in arguments)
            return (f"{name}(", *listing, ")") if arguments or argument else (name,)
        case syntax.Union(left, right):
            return _infix("|", left, right, _UNION)
        case syntax.Intersection(left, right):
            return _infix("&", left, right, _MEET)
        case syntax.Difference(left, right):
            return _difference(left, right, argument)
        case syntax.Composition(left, right):
            return _infix("@", left, right, _CHAIN)
        case syntax.Complement(operand):
            return "not ", Place(operand, _UNARY)
        case syntax.Gated(operand):
            return "gated ", Place(operand, _UNARY)
        case syntax.Pooled(_, size):
            return (f"pooled({size})",)
        case _:
            assert_never(relation)


def random(table: syntax.Drawn) -> str:
    """The relation that a seeded table is. Raises Unspellable for one that does not count tokens."""
    if not isinstance(table.length, syntax.Name):
        raise Unspellable("a table of random blocks stands within `blocks` or `dilate`, which core form does not keep")
    return f"random({table.count}, block = {table.block}, seed = {table.seed})"


def _difference(left: syntax.Expression, right: syntax.Expression, argument: bool) -> Pieces:
    """A difference of what could be numbers is arithmetic where numbers can stand, and nothing where they cannot. One
    lone name is then written as a call, which is no number: `a() - b`."""
    names = _only_names(left), _only_names(right)
    numbers = all(only or _is_number(side) for only, side in zip(names, (left, right), strict=True))
    marked = numbers and (argument or not all(names))
    return (
        Place(left, _SUM, argument=marked and names[0]),
        " - ",
        Place(right, _CHAIN, argument=marked and not names[0]),
    )


def _only_names(relation: syntax.Expression) -> bool:
    """Whether it is a name, or a difference of names."""
    todo = [relation]
    while todo:
        match todo.pop():
            case syntax.Difference(left, right):
                todo += [left, right]
            case syntax.Call(_, ()):
                pass
            case _:
                return False
    return True


def _is_number(value: syntax.Value | syntax.Choices) -> bool:
    """Whether its text, as an argument, is that of a number: `min(a, b)` is."""
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, syntax.Call) and each.name in FUNCTIONS and each.arguments:
            if any(argument.name is not None for argument in each.arguments):
                return False
            todo += [argument.value for argument in each.arguments]
        elif not isinstance(each, syntax.Term):
            return False
    return True
