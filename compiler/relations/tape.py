"""Expressions as a flat list of operations, found once and evaluated at many lengths: at single values of a variable,
or at both ends of stretches of it, with a proof of where all values between lie on the line through the two.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from .integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var

Proved = NDArray[np.bool_]

Gaps: TypeAlias = NDArray[np.int64] | None
"""[stretches]: how many steps lead from the first to the last value of each. None: of single values."""


class _Step(NamedTuple):
    """``operands``: which earlier values. ``moving``: whether it depends on the variable that has stretches; ``many``:
    on that or on another that is an array."""

    symbol: str
    operands: tuple[int, ...]
    moving: bool
    many: bool


_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    **_ORDERS,
    "==": operator.eq,
    "!=": operator.ne,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "&": operator.and_,
    "|": operator.or_,
    "min": min,
    "max": max,
    "where": lambda condition, then, otherwise: then if condition else otherwise,
}
_OF_ARRAYS = _OF_NUMBERS | {"min": np.minimum, "max": np.maximum, "where": np.where}


@dataclass(frozen=True, slots=True)
class Tape:
    """Operations, of which equal ones are done once. Values are numbered: those of ``names``, the ``constants``, and
    what the steps find."""

    names: tuple[str, ...]
    moving: str
    constants: tuple[Any, ...]
    steps: tuple[_Step, ...]
    results: tuple[int, ...]

    @staticmethod
    def of(nodes: tuple[Expr | Predicate, ...], names: tuple[str, ...], moving: str, *many: str) -> Tape:
        """``moving``: the variable that has stretches; ``many``: others whose values are arrays. All other names are
        integers."""
        return _Recorder(names, moving, many).tape(nodes)

    def of_numbers(self, values: Mapping[str, int]) -> list[Any]:
        """The results, where all values are integers."""
        found: list[Any] = [*(values[name] for name in self.names), *self.constants]
        for symbol, operands, _, _ in self.steps:
            found.append(_OF_NUMBERS[symbol](*[found[at] for at in operands]))
        return [found[at] for at in self.results]

    def at(self, values: Mapping[str, Any], gaps: Gaps = None) -> tuple[list[Any], Proved]:
        """The results, where the moving variable is [..., 1, tiles]. With ``gaps`` it is [..., 2, stretches], the first
        and the last of evenly spaced values: then also for which stretches it is proved that what any step finds at
        these lies on a line."""
        found = [*(values[name] for name in self.names), *self.constants]
        proved = np.ones(values[self.moving].shape[-1], dtype=np.bool_)
        for symbol, operands, moving, many in self.steps:
            given = [found[at] for at in operands]
            found.append((_OF_ARRAYS if many else _OF_NUMBERS)[symbol](*given))
            if gaps is not None and moving and (kept := _kept(symbol, given, found[-1], gaps)) is not None:
                proved &= kept if kept.ndim == 1 else kept.reshape(-1, len(proved)).all(axis=0)
        return [found[at] for at in self.results], proved


def _kept(symbol: str, given: list[Any], value: Any, gaps: NDArray[np.int64]) -> Proved | None:
    """Whether the values of a step lie on a line, where those of its operands do and truth values are the same; None:
    always. Each is told from the ends, and without a difference of integers that may be too large."""
    if symbol in ("+", "-", "&", "|", "where"):
        return None
    if symbol == "*":
        both = all(np.ndim(each) > 1 and each.shape[-2] == 2 for each in given)
        return np.zeros(value.shape[-1:], dtype=np.bool_) if both else None
    if symbol == "//":
        # The quotient stays, for it lies between those of the ends; or it grows evenly.
        begin, end = (given[0][..., at, :].astype(np.int64) for at in (0, 1))
        stays_or_grows: Proved = _same(value) | ((end - begin) % (gaps * given[1]) == 0)
        return stays_or_grows
    if symbol in _ORDERS:
        return _same(value)
    # Of two lines one is the lower at both ends, or they are equal at both.
    left, right = given
    return _same(left < right) & _same(left > right) if symbol in ("==", "!=") else _same(left <= right)


def _same(x: Any) -> Proved:
    found: Proved = x[..., 0, :] == x[..., 1, :]
    return found


class _Recorder:
    """Numbers operations. The arguments are those of ``Tape.of``."""

    def __init__(self, names: tuple[str, ...], moving: str, many: tuple[str, ...]) -> None:
        self._names, self._moving = names, moving
        self._numbers: dict[Any, int] = {Var(name): at for at, name in enumerate(names)}
        self._kinds = [(name == moving, name == moving or name in many) for name in names]
        self._constants: list[Any] = []
        self._steps: list[_Step] = []
        self._done: dict[tuple[str, tuple[int, ...]], int] = {}

    def tape(self, nodes: tuple[Expr | Predicate, ...]) -> Tape:
        for node in nodes:
            self._number_constants(node)
        results = tuple(map(self._number, nodes))
        return Tape(self._names, self._moving, tuple(self._constants), tuple(self._steps), results)

    def _number_constants(self, node: Expr | Predicate) -> None:
        match node:
            case Const(value):
                self._constant(node, value)
            case All(()) | AnyOf(()):
                self._constant(node, node == All(()))
            case Var():
                pass
            case Binary(_, left, right) | Compare(_, left, right):
                self._number_constants(left)
                self._number_constants(right)
            case Select(condition, then, otherwise):
                for each in (condition, then, otherwise):
                    self._number_constants(each)
            case All(parts) | AnyOf(parts):
                for part in parts:
                    self._number_constants(part)
            case _:
                assert_never(node)

    def _constant(self, node: Expr | Predicate, value: int | bool) -> None:
        if node not in self._numbers:
            self._numbers[node] = len(self._kinds)
            self._kinds.append((False, False))
            self._constants.append(value)

    def _number(self, node: Expr | Predicate) -> int:
        if (known := self._numbers.get(node)) is None:
            known = self._numbers[node] = self._record(node)
        return known

    def _record(self, node: Expr | Predicate) -> int:
        match node:
            case Binary("%", left, right):
                quotient = self._step("//", self._number(left), self._number(right))
                return self._step("-", self._number(left), self._step("*", quotient, self._number(right)))
            case Binary(symbol, left, right) | Compare(symbol, left, right):
                return self._step(symbol, self._number(left), self._number(right))
            case Select(condition, then, otherwise):
                return self._step("where", *map(self._number, (condition, then, otherwise)))
            case All(parts) | AnyOf(parts):
                symbol = "&" if isinstance(node, All) else "|"
                return reduce(lambda one, two: self._step(symbol, one, two), map(self._number, parts))
            case _:
                raise ValueError(f"a name without a value: {node}")

    def _step(self, symbol: str, *operands: int) -> int:
        if (known := self._done.get((symbol, operands))) is None:
            known = self._done[symbol, operands] = len(self._kinds)
            moving, many = (any(self._kinds[at][which] for at in operands) for which in (0, 1))
            self._kinds.append((moving, many))
            self._steps.append(_Step(symbol, operands, moving, many))
        return known
