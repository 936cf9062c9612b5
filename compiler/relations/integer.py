"""Integer expressions: the small language in which a program states its tile ranges and masks.

Closed-form results of the set computations arrive here, are evaluated on plain ints or on arrays, are printed into
generated kernels, and are read back as sets when a program is confirmed. ``//`` and ``%`` round towards minus
infinity, as in Python; a generated kernel may print C's operators only where no operand can be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, TypeAlias, TypeVar, assert_never


@dataclass(frozen=True, slots=True)
class Const:
    value: int


@dataclass(frozen=True, slots=True)
class Var:
    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    """``operator`` is one of ``+ - * // % min max``; the right side of ``//`` and ``%`` is a positive Const."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Select:
    """``then if condition else otherwise``."""

    condition: Predicate
    then: Expr
    otherwise: Expr


Expr: TypeAlias = Const | Var | Binary | Select


@dataclass(frozen=True, slots=True)
class Compare:
    """``operator`` is one of ``< <= > >= == !=``."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class All:
    """True when every part is; the empty conjunction is true."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when some part is; the empty disjunction is false."""

    parts: tuple[Predicate, ...]


Predicate: TypeAlias = Compare | All | AnyOf

TRUE = All(())
FALSE = AnyOf(())


def length_values(n: int, nk: int | None = None) -> dict[str, int]:
    """What the names of the lengths stand for: ``n`` tokens; of two sequences, n queries and ``nk`` keys."""
    return {"n": n, "nq": n, "nk": n if nk is None else nk}


def evaluate(
    expr: Expr | Predicate, values: Mapping[str, Any], xp: Any = None, known: dict[int, Any] | None = None
) -> Any:
    """The value under an assignment of ints or integer arrays.

    ``xp`` is the array module (numpy or torch) whose ``where``, ``minimum`` and ``maximum`` apply to the arrays in
    ``values``; None when all of them are plain ints. ``known``: what parts are under these values, by their identity,
    for expressions that share some of them; it grows.
    """

    def go(node: Expr | Predicate) -> Any:
        match node:
            case Const(value):
                return value
            case Var(name):
                return values[name]
            case Binary(operator, left, right):
                return apply(operator, part(left), part(right), xp)
            case Select(condition, then, otherwise):
                test, yes, no = part(condition), part(then), part(otherwise)
                if isinstance(test, bool):
                    return yes if test else no
                return xp.where(test, yes, no)
            case Compare(operator, left, right):
                return _compare(operator, part(left), part(right))
            case All(parts):
                return reduce(and_, map(part, parts)) if parts else True
            case AnyOf(parts):
                return reduce(or_, map(part, parts)) if parts else False
            case _:
                assert_never(node)

    def once(node: Expr | Predicate) -> Any:
        assert known is not None
        if id(node) not in known:
            known[id(node)] = go(node)
        return known[id(node)]

    part = go if known is None else once
    return part(expr)


def apply(operator: str, left: Any, right: Any, xp: Any = None) -> Any:
    """The value of a ``Binary`` whose operands are ints, or integer arrays of the array module ``xp``."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "//":
            return left // right
        case "%":
            # Of arrays: numpy divides by a number several times as fast as it finds a remainder.
            return left % right if xp is None else left - left // right * right
        case "min" | "max":
            small, large = (left, right) if operator == "min" else (right, left)
            first = left < right
            return (small if first else large) if isinstance(first, bool) else xp.where(first, small, large)
        case _:
            raise ValueError(f"unknown operator {operator!r}")


def _compare(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "==":
            return left == right
        case "!=":
            return left != right
        case _:
            raise ValueError(f"unknown comparison {operator!r}")


Node = TypeVar("Node", Expr, Predicate)


def substitute(node: Node, values: Mapping[str, Expr]) -> Node:
    """The expression or predicate with others in place of some variables."""

    def go(node: Any) -> Any:
        return values.get(node.name, node) if isinstance(node, Var) else rebuilt(node, go)

    found: Node = go(node)
    return found


def joined(node: Node) -> Node:
    """The same with divisions of quotients as one: floor(floor(x / p) / q) is floor(x / (p * q))."""

    def go(node: Any) -> Any:
        match found := rebuilt(node, go):
            case Binary("//", Binary("//", inner, Const(p)), Const(q)):
                return Binary("//", inner, Const(p * q))
            case Binary("%", Binary("//", inner, Const(p)) as quotient, Const(q) as by):
                return Binary("-", quotient, Binary("*", by, Binary("//", inner, Const(p * q))))
        return found

    found: Node = go(node)
    return found


def rebuilt(node: Any, go: Callable[[Any], Any]) -> Any:
    """The node with ``go`` of each of its parts."""
    match node:
        case Const() | Var():
            return node
        case Binary(operator, left, right):
            return Binary(operator, go(left), go(right))
        case Select(condition, then, otherwise):
            return Select(go(condition), go(then), go(otherwise))
        case Compare(operator, left, right):
            return Compare(operator, go(left), go(right))
        case All(parts):
            return All(tuple(go(part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(go(part) for part in parts))
        case _:
            assert_never(node)


_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def negated(predicate: Predicate) -> Predicate:
    """The predicate that holds where the given one does not."""
    match predicate:
        case Compare(operator, left, right):
            return Compare(_OPPOSITE[operator], left, right)
        case All(parts):
            return AnyOf(tuple(map(negated, parts)))
        case AnyOf(parts):
            return All(tuple(map(negated, parts)))


def variables(expr: Expr | Predicate) -> frozenset[str]:
    """The names that occur."""
    match expr:
        case Const():
            return frozenset()
        case Var(name):
            return frozenset({name})
        case Binary(_, left, right) | Compare(_, left, right):
            return variables(left) | variables(right)
        case Select(condition, then, otherwise):
            return variables(condition) | variables(then) | variables(otherwise)
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(variables(part) for part in parts))
        case _:
            assert_never(expr)
