"""written: a program as text that a later process reads back quickly. JSON: every node is a list of its parts.

Integers and names are themselves, an operation ``[operator, left, right]``, a choice ``["where", condition, then,
otherwise]``, what joins conditions ``["all", ...]`` or ``["any", ...]``; everything else is its fields in their order.
Reading runs nothing of the text and takes no name or operator that programs do not have: these end up in kernels.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, TypeVar

from ..relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var
from .program import Fan, Kernel, Order, Program, Range, Sweep, Term, Tile, Turn

_NAMES = {name: Var(name) for name in ("n", "nq", "nk", "c", "d", "I", "J", "T", "a", "b")}
_ARITHMETIC = frozenset(["+", "-", "*", "min", "max"])
_DIVISIONS = frozenset(["//", "%"])
_COMPARISONS = frozenset(["<", "<=", ">", ">=", "==", "!="])

PlainT = TypeVar("PlainT", int, bool, str)


def write(program: Program) -> str:
    """One line."""
    return json.dumps(_plain(program), separators=(",", ":"))


def read(text: str) -> Program:
    """The program that ``write`` wrote. Raises ValueError for any other text."""
    try:
        return _program(json.loads(text))
    except (TypeError, RecursionError) as error:  # a number where a list was, or a list where an operator was
        raise ValueError(f"it is no program: {error}") from None


def _plain(node: Any) -> Any:
    match node:
        case Const(value) | Var(value):
            return value
        case Select(condition, then, otherwise):
            return ["where", _plain(condition), _plain(then), _plain(otherwise)]
        case All(parts):
            return ["all", *map(_plain, parts)]
        case AnyOf(parts):
            return ["any", *map(_plain, parts)]
        case tuple():
            return [_plain(part) for part in node]
        case None | int() | str():
            return node
        case _:
            return [_plain(getattr(node, field.name)) for field in fields(node) if field.compare]


def _program(node: Any) -> Program:
    name, causal, tile, terms, forward, backward, cross, table = node
    return Program(
        _is(str, name),
        _is(bool, causal),
        _tile(tile),
        tuple(map(_term, terms)),
        tuple(map(_kernel, forward)),
        tuple(map(_kernel, backward)),
        _is(bool, cross),
        _is(int, table),
    )


def _term(node: Any) -> Term:
    label, line, query, key, turn, keep, tile = node
    orders = _order(query), _order(key)
    own = None if tile is None else _tile(tile)
    return Term(_is(str, label), _is(int, line), *orders, _turn(turn), _predicate(keep), own)


def _turn(node: Any) -> Turn:
    shift, factor = node
    return Turn(_is(int, shift), _is(int, factor))


def _order(node: Any) -> Order:
    *numbers, digits = node
    period, count, start, classes = (_is(int, number) for number in numbers)
    return Order(period, count, start, classes, tuple((_is(int, extent), _is(int, by)) for extent, by in digits))


def _kernel(node: Any) -> Kernel:
    order, sweeps = node
    return Kernel(_order(order), tuple(Sweep(_is(int, term), tuple(map(_range, ranges))) for term, ranges in sweeps))


def _range(node: Any) -> Range:
    lo, hi, masked, fan, diagonal = node
    return Range(_expr(lo), _expr(hi), _is(bool, masked), None if fan is None else _fan(fan), _is(bool, diagonal))


def _fan(node: Any) -> Fan:
    first, last, row = node
    return Fan(_expr(first), _expr(last), _is(int, row))


def _tile(node: Any) -> Tile:
    query, key = node
    return Tile(_is(int, query), _is(int, key))


def _expr(node: Any) -> Expr:
    kind = type(node)  # to match patterns would take as long as all else
    if kind is int:
        return Const(node)
    if kind is list and len(node) == 3:
        operator, left, right = node
        if operator in _ARITHMETIC or (operator in _DIVISIONS and type(right) is int and right > 0):
            return Binary(operator, _expr(left), _expr(right))
    elif kind is list and len(node) == 4 and node[0] == "where":
        return Select(_predicate(node[1]), _expr(node[2]), _expr(node[3]))
    elif kind is str and node in _NAMES:
        return _NAMES[node]
    raise ValueError(f"{node!r} is no integer expression of a program")


def _predicate(node: Any) -> Predicate:
    if type(node) is list and node:
        operator, *parts = node
        if operator == "all":
            return All(tuple(map(_predicate, parts)))
        if operator == "any":
            return AnyOf(tuple(map(_predicate, parts)))
        if operator in _COMPARISONS and len(parts) == 2:
            return Compare(operator, _expr(parts[0]), _expr(parts[1]))
    raise ValueError(f"{node!r} is no condition of a program")


def _is(kind: type[PlainT], value: Any) -> PlainT:
    """The value, which must be of this very type: True is no integer here."""
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not of the type {kind.__name__}")
    return value
